"""Frame records, and their description for TFDS."""

import json
import pathlib

import numpy as np
import pytest
import tensorflow_datasets as tfds

from data_pipeline.formats import schema
from data_pipeline.formats.tfrecord import TFRecordSource
from data_pipeline.preparation.prepare import prepare
from data_pipeline.sources.annotations import Frame, Person
from jmpose_jax.skeletons import POSETRACK17


def frame(people=2, polygons=((3, 2), (5, 2))):
    rng = np.random.default_rng(people)
    return Frame(
        file_name="images/val/a/000003.jpg",
        path=pathlib.Path("images/val/a/000003.jpg"),
        image_id=10**10 + 3,
        number=3,
        is_labeled=True,
        persons=tuple(
            Person(
                rng.normal(size=(17, 3)).astype(np.float32),
                rng.normal(size=4).astype(np.float32),
                rng.normal(size=4).astype(np.float32),
                i,
                100 + i,
            )
            for i in range(people)
        ),
        ignore_regions=tuple(rng.normal(size=shape).astype(np.float32) for shape in polygons),
    )


@pytest.mark.parametrize("people", [0, 1, 3])
@pytest.mark.parametrize("polygons", [(), ((3, 2),), ((3, 2), (0, 2), (7, 2))])
def test_round_trip(people, polygons):
    original = frame(people, polygons)
    decoded, rest = schema.decode_frame(schema.encode_frame(original, b"\xff\xd8jpeg", (10, 20), "a", 7))
    assert rest == {
        "image/encoded": b"\xff\xd8jpeg", "image/height": 10, "image/width": 20, "video": "a", "nframes": 7, "flow": {},
    }  # fmt: skip
    for name in ("file_name", "path", "image_id", "number", "is_labeled"):
        assert getattr(decoded, name) == getattr(original, name)
    assert len(decoded.persons) == people and len(decoded.ignore_regions) == len(polygons)
    for a, b in zip(decoded.persons, original.persons):
        np.testing.assert_array_equal(a.keypoints, b.keypoints)
        np.testing.assert_array_equal(a.box, b.box)
        np.testing.assert_array_equal(a.head_box, b.head_box)
        assert (a.track_id, a.annotation_id) == (b.track_id, b.annotation_id)
    for a, b in zip(decoded.ignore_regions, original.ignore_regions):
        np.testing.assert_array_equal(a, b)


def test_flow_round_trip():
    flow = {d: np.random.default_rng(3 + d).normal(size=(6, 8, 2)).astype(np.float32) * 9 for d in (-2, 1)}
    _, rest = schema.decode_frame(schema.encode_frame(frame(), b"x", (24, 32), "a", 7, flow))
    assert rest["flow"].keys() == flow.keys()
    for distance, array in flow.items():
        np.testing.assert_array_equal(rest["flow"][distance], array.astype(np.float16).astype(np.float32))


def tfds_features(with_flow):
    """The same features declared with TFDS's own classes."""
    f = tfds.features
    people = {
        "keypoints": f.Tensor(shape=(None, 17, 3), dtype=np.float32, doc=json.dumps(POSETRACK17.to_dict())),
        "boxes": f.Tensor(shape=(None, 4), dtype=np.float32),
        "head_boxes": f.Tensor(shape=(None, 4), dtype=np.float32),
        "track_ids": f.Tensor(shape=(None,), dtype=np.int64),
        "annotation_ids": f.Tensor(shape=(None,), dtype=np.int64),
    }
    image = {
        "encoded": f.Image(shape=(None, None, 3), encoding_format="jpeg"),
        "id": f.Scalar(np.int64),
        "file_name": f.Text(),
        "height": f.Scalar(np.int64),
        "width": f.Scalar(np.int64),
    }
    regions = {
        "points": f.Tensor(shape=(None, 2), dtype=np.float32),
        "lengths": f.Tensor(shape=(None,), dtype=np.int64),
    }
    flow = {name: f.Tensor(shape=(), dtype=np.object_) for name in ("minus_2", "minus_1", "plus_1", "plus_2")}
    flow["shape"] = f.Tensor(shape=(2,), dtype=np.int64)
    return f.FeaturesDict(
        {
            "image": f.FeaturesDict(image),
            "video": f.Text(),
            "frame_index": f.Scalar(np.int64),
            "nframes": f.Scalar(np.int64),
            "is_labeled": f.Scalar(np.bool_),
            "ignore_regions": f.FeaturesDict(regions),
            **people,
            **({"flow": f.FeaturesDict(flow)} if with_flow else {}),
        }
    )


@pytest.mark.parametrize("with_flow", [False, True])
def test_features_json_is_what_tfds_writes(tmp_path, with_flow):
    tfds_features(with_flow).save_config(tmp_path)
    assert json.loads(schema.features_json(with_flow)) == json.loads((tmp_path / "features.json").read_text())


@pytest.fixture
def prepared(source, tmp_path):
    prepare("posetrack18", source, tmp_path / "out", num_shards=3, progress=False)
    return tmp_path / "out"


def test_tfds_reads_description_and_records_without_tensorflow(prepared):
    builder = tfds.builder_from_directory(prepared)
    info = builder.info.splits["val"]
    assert builder.name == "posetrack" and info.num_examples == 10 and info.num_shards == 3
    assert [pathlib.Path(name).name for name in info.filenames] == sorted(p.name for p in prepared.glob("*-of-00003"))
    assert [int(n) for n in info.shard_lengths] == [len(TFRecordSource([prepared / n])) for n in info.filenames]
    assert builder.info.features.keys() == tfds_features(False).keys()
    parser = tfds.core.example_parser.ExampleParserNp(builder.info.features.get_serialized_info())
    source = TFRecordSource([prepared / name for name in info.filenames])
    parsed = parser.parse_example(source[0])
    original, rest = schema.decode_frame(source[0])
    assert parsed["image"]["id"] == original.image_id and parsed["image"]["encoded"] == rest["image/encoded"]
    assert parsed["frame_index"] == original.number and parsed["video"].decode() == rest["video"]


def test_tensorflow_reads_the_same_examples(prepared):
    pytest.importorskip("tensorflow", reason="the extra `tensorflow` is not installed")
    builder = tfds.builder_from_directory(prepared)
    examples = list(builder.as_dataset(split="val", shuffle_files=False).as_numpy_iterator())
    source = TFRecordSource(sorted(prepared.glob("posetrack-val.tfrecord-*-of-00003")))
    assert len(examples) == len(source)
    for i, found in enumerate(examples):
        expected, rest = schema.decode_frame(source[i])
        assert found["image"]["id"] == expected.image_id and found["is_labeled"] == expected.is_labeled
        assert found["image"]["encoded"].shape == (rest["image/height"], rest["image/width"], 3)
        assert found["keypoints"].shape == (len(expected.persons), 17, 3)
        for j, person in enumerate(expected.persons):
            np.testing.assert_array_equal(found["keypoints"][j], person.keypoints)
            np.testing.assert_array_equal(found["boxes"][j], person.box)
        assert found["ignore_regions"]["lengths"].tolist() == [len(r) for r in expected.ignore_regions]
