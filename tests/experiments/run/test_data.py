"""A folder that is no prepared data set: what it is instead."""

import pytest

from configs import backbone
from experiments.run import data
from jmpose_jax.errors import InputError


def config_of(root, split="val"):
    config = backbone.get_config("tiny")
    config.dataset.root, config.dataset.eval_split = str(root), split
    return config


def missing(place):
    return place


def is_file(place):
    place.write_text("x")
    return place


def source(place):
    (place / "annotations" / "val").mkdir(parents=True)
    return place


def images(place):
    (place / "images").mkdir(parents=True)
    return place


def unfinished(place):
    place.with_name(place.name + ".unfinished").mkdir()
    return place


def unfinished_itself(place):
    return unfinished(place).with_name(place.name + ".unfinished")


def one_above(place):
    (place / "prepared").mkdir(parents=True)
    (place / "prepared" / "features.json").write_text("{}")
    return place


def quickstart(place):
    return one_above(place / "data") and place


def empty(place):
    place.mkdir()
    return place


def foreign(place):
    place.mkdir()
    (place / "notes.txt").write_text("x")
    return place


@pytest.mark.parametrize(
    "make, message",
    [
        (missing, "does not exist"),
        (is_file, "is a file"),
        (source, "jmpose prepare --dataset=NAME --source="),
        (images, "jmpose prepare --dataset=NAME --source="),
        (unfinished, "is not finished"),
        (unfinished_itself, "is not finished"),
        (one_above, r"--config.dataset.root=.*prepared"),
        (quickstart, r"--config.dataset.root=.*data/prepared"),
        (empty, "is empty"),
        (foreign, "has no features.json"),
    ],
)
def test_what_a_folder_is(make, message, tmp_path):
    place = make(tmp_path / "place")
    with pytest.raises(InputError, match=message) as error:
        data.dataset_root(config_of(place))
    assert f"config.dataset.root={place}" in str(error.value)


def test_no_folder_at_all():
    with pytest.raises(InputError, match="config.dataset.root is empty"):
        data.dataset_root(config_of(""))


def test_the_annotations_of_a_split(prepared):
    assert data.annotations(config_of(prepared)) == prepared / "annotations" / "val"
    for split in ("vall", ""):
        with pytest.raises(InputError, match="config.dataset.eval_split=.*there are test, train, val"):
            data.annotations(config_of(prepared, split))
