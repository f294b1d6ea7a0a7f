"""Models by name: an unknown option is answered with the nearest one, of the model or of its parts."""

import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.models.registry import CLASSES, create_model, model_class


@pytest.mark.parametrize(
    "option, hint",
    [
        ("width", "did you mean 'backbone.width'"),
        ("num_layer", "did you mean 'num_layers'"),
        ("chanels", "did you mean 'channels'"),
        ("zzz", "it has backbone, num_joints"),
        ("backbone.widht", "did you mean 'backbone.width'"),
    ],
)
def test_the_nearest_option(option, hint):
    with pytest.raises(InputError, match=f"config.model.{option} is no option of model 'jmpose'; {hint}"):
        part, _, name = option.rpartition(".")
        backbone = {"width": 16, "num_joints": 15} | ({name: 3} if part else {})
        create_model({"name": "jmpose", "backbone": backbone} | ({} if part else {option: 3}))


def test_the_names():
    assert [model_class(name).__name__ for name in CLASSES] == ["ImageBaseline", "JMPose", "ClipFlow"]
    with pytest.raises(InputError, match="config.model.name='jmposes' is unknown; use one of image, jmpose, raft"):
        create_model({"name": "jmposes"})
