"""`jmpose weights`: names, what is there, and what is said of arguments at fault."""

import pytest

from experiments import weights
from jmpose_jax.errors import InputError
from jmpose_jax.weights.published import PUBLISHED, full_name, path_of
from tests import commands


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("JMPOSE_HOME", str(tmp_path))
    return tmp_path


def test_the_list_names_all_and_says_what_is_there(home):
    text = weights.listing()
    assert all(f"\n{name} " in f"\n{text}" for name in PUBLISHED) and text.count("not there") == len(PUBLISHED)
    assert str(home) in text and "Apache-2.0" in text
    path_of("movenet_thunder").parent.mkdir()
    path_of("movenet_thunder").write_bytes(b"x")
    assert weights.listing().count("not there") == len(PUBLISHED) - 1


def test_a_variant_names_its_weights():
    names = ("thunder", "movenet_thunder", "movenet")
    assert [full_name(name) for name in names] == ["movenet_thunder", "movenet_thunder", "movenet"]


def test_verify_names_what_is_not_whole(home):
    assert "no weights are there" in weights.verify([])
    with pytest.raises(InputError, match="movenet_thunder are not there; run `jmpose weights get movenet_thunder`"):
        weights.verify(["movenet_thunder"])
    path_of("movenet_thunder").parent.mkdir()
    path_of("movenet_thunder").write_bytes(b"x")
    with pytest.raises(InputError, match="movenet_thunder.safetensors.*jmpose weights get"):
        weights.verify([])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "an action is missing"),
        (["fetch"], "'fetch' is no action; use one of list, get, verify"),
        (["get"], "a name is missing"),
        (["get", "movenet"], "'movenet' are not known"),
        (["list", "x"], "'x'"),
        (["list", "--package=x"], "--package goes with get"),
    ],
)
def test_arguments_at_fault_are_one_line(home, arguments, words):
    ended = commands.run("weights", *arguments)
    assert ended.status == 2 and ended.out == "" and words in ended.fault and ended.err.count("\n") == 1
