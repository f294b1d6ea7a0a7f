"""The TFDS builder gives the examples that `jmpose prepare` stores, without TensorFlow."""

import json

import numpy as np
import tensorflow_datasets as tfds

from data_pipeline.formats import schema
from data_pipeline.preparation.prepare import prepare

# Registered, the builder would answer to the name of the prepared folders that other tests read in this process.
with tfds.core.registered.skip_registration():
    from data_pipeline.formats.tfds_posetrack import CONFIGS, Posetrack, features


def test_features_are_those_of_prepare(tmp_path):
    features().save_config(tmp_path)
    assert json.loads((tmp_path / "features.json").read_text()) == json.loads(schema.features_json(False))


def test_builder_gives_the_examples_of_prepare(source, tmp_path):
    assert tuple(Posetrack.builder_configs) == CONFIGS
    builder = Posetrack(config="posetrack18", data_dir=tmp_path / "tfds", file_format="array_record")
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=source))
    prepare("posetrack18", source, tmp_path / "out", file_format="array_record", progress=False)
    theirs = builder.as_data_source("val")
    ours = tfds.builder_from_directory(tmp_path / "out").as_data_source("val")
    assert builder.info.splits["val"].num_examples == len(ours) == len(theirs) == 10
    by_id = {int(entry["image"]["id"]): entry for entry in theirs}
    for expected in ours:
        found = by_id[int(expected["image"]["id"])]
        for name in ("keypoints", "boxes", "head_boxes", "track_ids", "annotation_ids"):
            np.testing.assert_array_equal(found[name], expected[name])
        for name in ("video", "frame_index", "nframes", "is_labeled"):
            assert found[name] == expected[name]
        for group in ("image", "ignore_regions"):
            for name, value in expected[group].items():
                np.testing.assert_array_equal(found[group][name], value)
