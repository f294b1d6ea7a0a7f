"""Models by name: an unknown option is answered with the nearest one, of the model or of its parts."""

import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.models.registry import create_model
from jmpose_jax.systems import SYSTEMS


@pytest.mark.parametrize(
    "option, hint",
    [
        ("width", "did you mean 'backbone.width'"),
        ("channel", "did you mean 'channels'"),
        ("chanels", "did you mean 'channels'"),
        ("zzz", "it has backbone, flow_network"),
        ("backbone.widht", "did you mean 'backbone.width'"),
    ],
)
def test_the_nearest_option(option, hint):
    with pytest.raises(InputError, match=f"model.{option} is no option of model 'jmpose'; {hint}"):
        part, _, name = option.rpartition(".")
        backbone = {"width": 16} | ({name: 3} if part else {})
        create_model({"name": "jmpose", "backbone": backbone} | ({} if part else {option: 3}))


def test_kinds_and_the_options_of_parts_are_looked_at():
    config = {"name": "jmpose", "backbone": {"width": 16}}
    with pytest.raises(
        InputError, match="model.mutual_learning.kind='both': choose one of interaction, identity, none"
    ):
        create_model(config | {"mutual_learning": {"kind": "both"}})
    with pytest.raises(InputError, match="model.head.residuals is no option .*did you mean 'head.residual'"):
        create_model(config | {"head": {"residuals": True}})
    with pytest.raises(InputError, match="model.motion_encoder.features is no option"):
        create_model(config | {"motion_encoder": {"features": 3}})  # the model's channels
    create_model(config | {"motion_encoder": {"kind": "feature_difference", "num_blocks": 1}})  # of another kind


OTHERS = ("ClipFlow", "HANet", "DeciWatch", "SmoothNet")


def test_the_names():
    modules = [row.module.__name__ for row in SYSTEMS.values()]
    assert modules == ["ImageBaseline", "JMPose", "DCPose", "TDMI", "TIPSD", *OTHERS]
    with pytest.raises(InputError, match="model.name='jmposes' is unknown; use one of image, jmpose, dcpose, tdmi"):
        create_model({"name": "jmposes"})
