"""The whole video models: names and shapes of the originals, there and back, and what does not fit."""

import json

import numpy as np
import pytest

from experiments.convert import convert, reverse
from jmpose_jax.errors import InputError
from jmpose_jax.train.trained import load_model
from jmpose_jax.weights import WeightsError, convert_state_dict, published_model, save_torch, to_state_dict
from jmpose_jax.weights.layers import entries, flatten
from jmpose_jax.weights.models import abstract_variables, name_table

# Name in a small size, name in the published size, its layout table, and keys that it has and nothing reads.
PUBLISHED = {
    "dcpose_w4": ("dcpose", "dcpose_rsn", ()),
    "tdmi_w4": ("tdmi", "tdmi_dtdmnrv15_2", ("motion_heatmap_head",)),
}


def random_variables(name, joints):
    rng = np.random.default_rng(0)

    def draw(tree):
        if isinstance(tree, dict):
            return {key: draw(value) for key, value in tree.items()}
        return np.abs(rng.standard_normal(tree.shape)).astype(np.float32)

    return draw(abstract_variables(published_model(name, joints)))


@pytest.fixture(scope="module", params=PUBLISHED)
def small(request):
    """Name, variables and state dict of a narrow model of 15 joints."""
    variables = random_variables(request.param, 15)
    return request.param, variables, to_state_dict(request.param, variables)


@pytest.mark.parametrize("name, layout, unread", PUBLISHED.values())
def test_names_and_shapes_are_the_originals(name, layout, unread, shared):
    rows = (line.split("\t") for line in (shared / f"golden/layouts/{layout}.tsv").read_text().splitlines())
    theirs = {key: tuple(json.loads(shape)) for key, shape, *_ in rows if not key.endswith("num_batches_tracked")}
    module = published_model(name)
    leaves = {path: leaf.shape for path, leaf in flatten(abstract_variables(module))}
    ours = {entry.key: entry.shape for entry in entries(name_table(module), leaves)}
    assert ours == {key: shape for key, shape in theirs.items() if key.rsplit(".", 1)[0] not in unread}


def test_conversion_there_and_back(small, tmp_path):
    name, variables, state_dict = small
    save_torch(tmp_path / "published.safetensors", {f"module.{key}": value for key, value in state_dict.items()})
    report = convert(name, tmp_path / "published.safetensors", tmp_path / "converted")
    assert not report.unmatched and not report.initial
    config, model, loaded = load_model(tmp_path / "converted")
    assert type(model) is type(published_model(name))
    assert config["dataset"]["skeleton"] == "posetrack15" and config["dataset"]["delta"] >= 1
    expected = dict(flatten(variables))
    found = dict(flatten(loaded))
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[path], expected[path]) for path in expected)
    back = reverse(name, tmp_path / "converted", tmp_path / "back.safetensors")
    assert back.keys() == state_dict.keys() and all(np.array_equal(back[key], state_dict[key]) for key in back)


@pytest.mark.parametrize("small", ["dcpose_w4"], indirect=True)
def test_what_does_not_fit_is_refused(small, tmp_path):
    name, _, state_dict = small
    wider = name.replace("_w4", "_w8")
    with pytest.raises(WeightsError, match=f"it looks like {name}"):
        convert_state_dict(wider, state_dict)
    (head,) = [key for key in state_dict if key.endswith("final_layer.weight")]
    with pytest.raises(WeightsError, match="misshapen: "):
        convert_state_dict(name, state_dict | {head: state_dict[head][:14]})
    with pytest.raises(InputError, match="estimates PoseTrack's joints already; leave --head out"):
        convert(name, "absent.pth", tmp_path, head="posetrack15")
