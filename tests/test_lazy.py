"""Packages that import what is asked for, and commands that so load no more than they need."""

import subprocess
import sys

import pytest

from jmpose_jax.lazy import offered


def test_names_and_modules_of_a_package():
    get, names = offered("json", {"decoder": "decoder", "JSONEncoder": "encoder"})
    import json

    assert get("decoder") is json.decoder and get("JSONEncoder") is json.JSONEncoder
    assert names() == ["JSONEncoder", "decoder"]
    with pytest.raises(AttributeError, match="module 'json' has no attribute 'encoder'"):
        get("encoder")


@pytest.mark.parametrize("room", ["models", "ops", "metrics", "weights"])
def test_every_offered_name_is_there(room):
    package = __import__(f"jmpose_jax.{room}", fromlist=["x"])
    assert package.__all__ and sorted(package.__all__) == dir(package)
    for name in package.__all__:
        assert getattr(package, name) is not None


def test_predict_loads_nothing_of_training():
    code = "import sys, experiments.predict; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "jax" in loaded
    assert not {"orbax", "optax", "scipy", "shapely", "matplotlib", "grain", "tensorstore"} & set(loaded)
