"""A mapping of options makes the module that it describes, and nothing else."""

import flax.linen as nn
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.models.parts import Part, option_names, parts_of


class Wide(nn.Module):
    features: int = 4
    width: int = 2
    init: nn.initializers.Initializer = nn.initializers.zeros


class Deep(nn.Module):
    depth: int
    width: int = 3


PART = Part({"wide": Wide, "deep": Deep}, given=("features",))


def test_options_make_the_kind_that_they_name():
    made = PART.create({"kind": "deep", "depth": 5}, name="x", features=7)  # Deep has no features
    assert type(made) is Deep and (made.depth, made.width, made.name) == (5, 3, "x")
    made = PART.create({"width": 9, "depth": 1}, name="y", features=7)  # depth is of another kind
    assert type(made) is Wide and (made.features, made.width) == (7, 9)


def test_what_the_model_sets_and_functions_are_no_options():
    assert PART.options() == ["kind", "width", "depth"] and Part({"": Wide}).options() == ["features", "width"]
    assert option_names(Deep) == ["depth", "width"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "high"}, "x.kind='high': choose one of wide, deep"),
        ({"features": 1}, "x.features is no option"),
        ({"widht": 1}, "did you mean 'width'"),
        ({"zzzz": 1}, "use kind, width, depth"),
    ],
)
def test_what_is_unknown_is_named(options, words):
    with pytest.raises(InputError, match=words):
        PART.create(options, name="x", features=1)


def test_a_model_without_a_table_has_no_parts():
    assert dict(parts_of(Wide)) == {}
