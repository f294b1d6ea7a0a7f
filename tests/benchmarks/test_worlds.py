"""Quickstarts as an axis of a grid."""

import json

import pytest

from benchmarks import worlds
from jmpose_jax.errors import InputError


def test_a_world_brings_its_own_data_backbone_and_seed(tmp_path):
    folder = tmp_path / "quickstart"
    folder.mkdir()
    (folder / "quickstart.json").write_text(json.dumps({"scale": "full", "seed": 4}))
    found = worlds.world(folder)
    assert found["name"] == "4" and found["seed"] == 4
    assert found["init.backbone"] == str(folder / "backbone")
    assert found["dataset.root"] == str(folder / "data" / "prepared")


def test_a_folder_without_a_quickstart_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no quickstart.json"):
        worlds.world(tmp_path)
