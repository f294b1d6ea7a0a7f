"""A data set's own joints travel with it: through the shards into batches, mirrored and cropped as they say."""

import dataclasses
import json

import cv2
import numpy as np
import pytest

from data_pipeline.clips.loader import make_loader
from data_pipeline.clips.options import ClipOptions
from data_pipeline.clips.table import ClipTable
from data_pipeline.formats import schema
from data_pipeline.formats.shards import write_shards
from data_pipeline.preparation.plan import PlanOptions, Report, plan_split
from data_pipeline.sources.annotations import Frame, Person, Video
from jmpose_jax.errors import InputError
from jmpose_jax.ops.geometry import apply_affine
from jmpose_jax.skeletons import Skeleton

SIZE = (90, 120)  # height, width


def invented(rng):
    """A skeleton of 2 to 29 joints with random names, mirror pairs, limbs and upper body."""
    joints = int(rng.integers(2, 30))
    order = [int(i) for i in rng.permutation(joints)]
    pairs = [(a, b) for a, b in zip(order[::2], order[1::2])][: int(rng.integers(0, joints // 2 + 1))]
    limbs = tuple((i, int(rng.integers(0, joints))) for i in range(joints))
    upper = tuple(sorted(order[: int(rng.integers(0, joints))]))
    return Skeleton(f"invented{joints}", tuple(f"joint {i}" for i in order), tuple(pairs), limbs, upper)


def prepared(folder, skeleton, rng, people=6):
    """A folder as `prepare` leaves it, of one video whose people have the skeleton's joints."""
    image = folder / "000000.jpg"
    folder.mkdir(parents=True)
    cv2.imwrite(str(image), rng.integers(0, 255, (*SIZE, 3)).astype(np.uint8))
    persons = []
    for _ in range(people):
        keypoints = np.ones((skeleton.num_joints, 3), np.float32)
        keypoints[:, :2] = rng.uniform((10, 10), (SIZE[1] - 10, SIZE[0] - 10), (skeleton.num_joints, 2))
        seen = rng.random(skeleton.num_joints) < 0.8
        keypoints[~seen] = 0
        keypoints[0] = (20, 20, 1)
        persons.append(
            Person(keypoints, np.asarray([0, 0, SIZE[1], SIZE[0]], np.float32), np.zeros(4, np.float32), 0, 0)
        )
    frame = Frame(image.name, image, 7, 0, True, tuple(persons))
    stored, table = plan_split(
        [Video("v", image, (frame,))], [], Report(), PlanOptions(0, skeleton, show_progress=False)
    )
    shards = write_shards(folder, "val", stored, 1, None, progress=False)
    table.save(folder, "val")
    (folder / schema.FEATURES_FILE).write_text(schema.features_json(False, skeleton))
    (folder / "dataset_info.json").write_text(schema.dataset_info_json({"val": shards}, "invented"))
    return table


@pytest.mark.parametrize("seed", range(8))
def test_through_the_shards_into_batches(tmp_path, seed):
    rng = np.random.default_rng(seed)
    skeleton = invented(rng)
    table = prepared(tmp_path / "out", skeleton, rng)
    assert ClipTable.load(tmp_path / "out", "val").skeleton == skeleton == schema.read_skeleton(tmp_path / "out")
    augment = {"rotation": 0, "scale": 0, "half_body_probability": 0, "flip_probability": 0.5}
    clips = ClipOptions(0, (48, 64), skeleton.name, augment=augment)
    loader = make_loader(tmp_path / "out", "val", clips, batch_size=4, train=True, seed=seed)
    flips = set()
    for batch in (next(loader) for _ in range(4)):
        assert batch.keypoints.shape == (4, skeleton.num_joints, 2)
        for i in range(4):
            flipped = bool(np.linalg.det(batch.transform[i, :, :2]) < 0)
            flips.add(flipped)
            row = batch.index[i]
            expected, seen = table.clips["keypoints"][row], table.clips["annotated"][row]
            if flipped:
                expected, seen = expected[skeleton.flip_permutation], seen[skeleton.flip_permutation]
            known = batch.joint_weights[i] > 0
            np.testing.assert_array_equal(known, seen)
            found = apply_affine(batch.transform[i], batch.keypoints[i])
            np.testing.assert_allclose(found[known], expected[known], atol=1e-3)
    loader.close()
    assert flips == {True, False}


def test_the_half_body_is_the_skeletons(tmp_path):
    """Of four joints the two of the upper body lie apart; crops of one half leave those of the other out."""
    rng = np.random.default_rng(0)
    joints = tuple("abcdefghijklmnop")
    skeleton = Skeleton("halves", joints, (), (), tuple(range(8)))
    prepared(tmp_path / "out", skeleton, rng, people=1)
    path = ClipTable.path(tmp_path / "out", "val")
    table = ClipTable.load(tmp_path / "out", "val")
    keypoints = np.full((1, 16, 2), 20, np.float32) + rng.uniform(0, 8, (1, 16, 2)).astype(np.float32)
    keypoints[:, 8:] += (60, 50)
    columns = table.clips | {"keypoints": keypoints, "annotated": np.ones((1, 16), bool)}
    path.unlink()
    dataclasses.replace(table, clips=columns).save(tmp_path / "out", "val")
    augment = {"rotation": 0, "scale": 0, "half_body_probability": 1, "flip_probability": 0}
    clips = ClipOptions(0, (48, 48), "halves", augment=augment)
    loader = make_loader(tmp_path / "out", "val", clips, batch_size=1, train=True)
    halves = set()
    for _ in range(12):
        weights = next(loader).joint_weights[0]
        halves.add((bool(weights[:8].all()), bool(weights[8:].all())))
    loader.close()
    assert halves == {(True, False), (False, True)}


def test_a_folder_without_a_description_is_known_by_name(tmp_path):
    rng = np.random.default_rng(3)
    skeleton = invented(rng)
    prepared(tmp_path / "out", skeleton, rng)
    features = json.loads((tmp_path / "out" / schema.FEATURES_FILE).read_text())
    del features["featuresDict"]["features"]["keypoints"]["description"]
    (tmp_path / "out" / schema.FEATURES_FILE).write_text(json.dumps(features))
    with pytest.raises(InputError, match=rf"clips-val.npz: keypoints .* of '{skeleton.name}', which features.json"):
        ClipTable.load(tmp_path / "out", "val")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"joints": []}, "'joints'"),
        ({"joints": ["a", "a", "b"]}, "'joints'"),
        ({"joints": ["a", 3, "b"]}, "joints"),
        ({"flip_pairs": [[0, 9]]}, "'flip_pairs'"),
        ({"flip_pairs": [[0, 1], [1, 2]]}, "'flip_pairs'"),
        ({"limbs": [[0, 1, 2]]}, "'limbs'"),
        ({"limbs": [0]}, "'limbs'"),
        ({"upper_body": [True]}, "'upper_body'"),
        ({"upper_body": [-1]}, "'upper_body'"),
        ({"name": None}, "'name'"),
    ],
)
def test_a_damaged_description_is_named(tmp_path, change, words):
    skeleton = Skeleton("three", ("a", "b", "c"), ((0, 1),), ((0, 2),), (0,))
    prepared(tmp_path / "out", skeleton, np.random.default_rng(0))
    path = tmp_path / "out" / schema.FEATURES_FILE
    features = json.loads(path.read_text())
    features["featuresDict"]["features"]["keypoints"]["description"] = json.dumps(skeleton.to_dict() | change)
    path.write_text(json.dumps(features))
    with pytest.raises(InputError, match=f"features.json.*{words}"):
        ClipTable.load(tmp_path / "out", "val")


def test_tfds_reads_such_a_folder(tmp_path):
    tfds = pytest.importorskip("tensorflow_datasets")
    skeleton = invented(np.random.default_rng(1))
    prepared(tmp_path / "out", skeleton, np.random.default_rng(1))
    found = tfds.builder_from_directory(tmp_path / "out").info.features["keypoints"]
    assert found.shape == (None, skeleton.num_joints, 3)
