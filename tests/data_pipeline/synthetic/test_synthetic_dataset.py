import hashlib
import json
import pathlib
import subprocess
import sys

import cv2
import numpy as np
import pytest

from data_pipeline.synthetic.browse import contact_sheet
from data_pipeline.synthetic.config import SyntheticConfig
from data_pipeline.synthetic.dataset import flow_pairs, generate
from data_pipeline.synthetic.flow import read_flo
from jmpose_jax.errors import InputError
from jmpose_jax.skeletons import POSETRACK17

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
SHORT = SyntheticConfig(num_frames=5)


def hashes(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthetic")
    summary = generate(
        str(folder), num_videos={"train": 5, "val": 5, "test": 1}, num_processes=1, flow=True, progress=False
    )
    return folder, summary


def contents(folder, split):
    return [json.loads(path.read_text()) for path in sorted((folder / "annotations" / split).glob("*.json"))]


def test_the_number_of_processes_changes_no_byte(tmp_path):
    for name, processes in (("one", 1), ("two", 2)):
        generate(
            str(tmp_path / name), num_videos={"train": 3, "val": 2}, seed=4, config=SHORT, num_processes=processes,
            flow=True, progress=False,
        )  # fmt: skip
    one, two = hashes(tmp_path / "one"), hashes(tmp_path / "two")
    assert one == two
    assert len(one) > 5 * 6


def test_more_videos_keep_the_first_ones_and_a_seed_changes_all(tmp_path):
    for name, count, seed in (("few", 1, 0), ("many", 2, 0), ("other", 1, 1)):
        generate(
            str(tmp_path / name), num_videos={"train": count}, seed=seed, config=SHORT, num_processes=1, progress=False
        )
    few, many, other = (hashes(tmp_path / name) for name in ("few", "many", "other"))
    assert few.items() <= many.items()
    assert few.keys() == other.keys() and not set(few.values()) & set(other.values())


def test_names_and_ids_are_those_of_posetrack(written):
    folder, _ = written
    seen = set()
    for split, names in (("train", "000001_mpii_train"), ("val", "100001_mpii_test"), ("test", "200001_mpii_test")):
        assert (folder / "annotations" / split / f"{names}.json").is_file()
        for content in contents(folder, split):
            ids = {image["id"] for image in content["images"]}
            assert not ids & seen
            seen |= ids
            for number, image in enumerate(content["images"]):
                directory, name = image["file_name"].rsplit("/", 1)
                assert (folder / image["file_name"]).is_file()
                assert name == f"{number:06d}.jpg"
                sequence = directory.rsplit("/", 1)[1].split("_")[0]
                assert image["id"] == image["frame_id"] == 10**10 + int(sequence) * 10**4 + number
                assert image["vid_id"] == sequence
                assert image["nframes"] == len(content["images"]) == 9
                assert len(image["ignore_regions_x"]) == len(image["ignore_regions_y"])
                assert image["speed_regime"] in ("slow", "fast")


def test_annotations_have_posetracks_form(written):
    folder, summary = written
    left_out = 0
    for split in ("train", "val", "test"):
        for content in contents(folder, split):
            assert content["categories"][0]["keypoints"] == list(POSETRACK17.joints)
            images = {image["id"]: image for image in content["images"]}
            for annotation in content["annotations"]:
                assert images[annotation["image_id"]]["is_labeled"]
                assert annotation["id"] // 100 == annotation["image_id"]
                assert annotation["scores"] == [] and annotation["category_id"] == 1
                points = np.array(annotation["keypoints"]).reshape(17, 3)
                assert (points[3:5] == 0).all()
                assert set(np.unique(points[:, 2])) <= {0, 1}
                assert (points[points[:, 2] == 0] == 0).all()
                placed = points[points[:, 2] == 1, :2]
                assert (placed >= -0.5).all() and (placed <= [319.5, 239.5]).all()
                extent = np.ptp(placed, axis=0)
                np.testing.assert_allclose(annotation["bbox"][2:], 1.3 * extent, atol=0.05)
                middle = np.array(annotation["bbox"][:2]) + np.array(annotation["bbox"][2:]) / 2
                np.testing.assert_allclose(middle, (placed.min(0) + placed.max(0)) / 2, atol=0.05)
                assert len(annotation["joint_cause"]) == len(annotation["joint_speed"]) == 17
                assert annotation["joint_cause"][3:5] == ["none", "none"]
                assert isinstance(annotation["blurred"], bool)
            for frame in {annotation["image_id"] for annotation in content["annotations"]}:
                tracks = [a["track_id"] for a in content["annotations"] if a["image_id"] == frame]
                assert len(tracks) == len(set(tracks))
        counts = summary[split]
        left_out += counts["joints_left_out"] / max(15 * counts["annotations"], 1) / 3
    assert left_out < 0.06


def test_train_is_dense_and_val_is_sparse(written):
    folder, summary = written
    for split, frames in (("train", list(range(9))), ("val", [2, 6])):
        for content in contents(folder, split):
            assert [n for n, image in enumerate(content["images"]) if image["is_labeled"]] == frames
    assert summary["train"]["labelled_frames"] == 45 and summary["val"]["labelled_frames"] == 10


def test_a_track_is_one_person(written):
    """Its joints move a little from frame to frame, and its annotated speed is how far."""
    folder, _ = written
    compared = 0
    for content in contents(folder, "train"):
        by_track = {}
        for annotation in content["annotations"]:
            by_track.setdefault(annotation["track_id"], {})[annotation["image_id"]] = annotation
        for track in by_track.values():
            for image_id, annotation in track.items():
                if image_id - 1 in track and image_id + 1 in track:
                    before, after = (
                        np.array(track[i]["keypoints"]).reshape(17, 3) for i in (image_id - 1, image_id + 1)
                    )
                    both = (before[:, 2] == 1) & (after[:, 2] == 1)
                    way = np.linalg.norm(after - before, axis=1)[both] / 2
                    np.testing.assert_allclose(way, np.array(annotation["joint_speed"])[both], atol=0.03)
                    compared += both.sum()
    assert compared > 300


def test_pictures_are_jpegs_of_the_configured_size(written):
    folder, _ = written
    for path in sorted((folder / "images").rglob("*.jpg"))[::7]:
        assert path.read_bytes()[:2] == b"\xff\xd8"
        assert cv2.imread(str(path)).shape == (240, 320, 3)
    assert not list(folder.rglob("*.partial"))


def test_flow_is_written_around_labelled_frames(written):
    folder, _ = written
    assert (4, 6) in flow_pairs("train", SyntheticConfig()) and (4, 7) not in flow_pairs("train", SyntheticConfig())
    assert flow_pairs("val", SyntheticConfig(num_frames=7)) == [
        (a, b) for a in range(5) for b in range(5) if 0 < abs(a - b) <= 2
    ]
    files = list((folder / "flow" / "train" / "000001_mpii_train").iterdir())
    assert len(files) == len(flow_pairs("train", SyntheticConfig()))
    assert read_flo(files[0]).shape == (60, 80, 2)
    assert "every 4 pixels" in (folder / "flow" / "README.txt").read_text()


def test_a_second_run_replaces_the_first(tmp_path):
    first = SyntheticConfig(num_frames=7)
    generate(str(tmp_path), num_videos={"train": 1}, config=first, num_processes=1, progress=False)
    generate(str(tmp_path), num_videos={"train": 1}, config=SHORT, num_processes=1, progress=False)
    assert len(list((tmp_path / "images" / "train" / "000001_mpii_train").iterdir())) == 5


def test_contact_sheet(written, tmp_path):
    folder, _ = written
    contact_sheet(str(folder), "val", str(tmp_path / "sheet.png"), n=6, columns=3)
    contact_sheet(str(folder), "val", str(tmp_path / "plain.png"), n=6, columns=3, plain=True)
    sheet, plain = (cv2.imread(str(tmp_path / name)) for name in ("sheet.png", "plain.png"))
    assert sheet.shape == plain.shape == (480, 960, 3)
    assert (sheet != plain).any()
    with pytest.raises(InputError, match="annotations/other"):
        contact_sheet(str(folder), "other", str(tmp_path / "x.png"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(num_videos={"training": 1}), "training"),
        (dict(num_videos={"train": -1}), "train"),
        (dict(num_videos={"train": 1}, seed=-1), "seed"),
        (dict(num_videos={"train": 1}, config=SyntheticConfig(mocap="/nowhere/at/all")), "/nowhere/at/all"),
    ],
)
def test_faulty_arguments_are_named(tmp_path, arguments, message):
    with pytest.raises(InputError, match=message):
        generate(str(tmp_path / "out"), progress=False, **arguments)
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(InputError, match="out: cannot be made into a folder"):
        generate(str(tmp_path / "out"), num_videos={"train": 1}, progress=False)


def test_the_renderer_does_not_import_jax():
    code = "import sys, data_pipeline.synthetic.dataset, data_pipeline.synthetic.browse; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, timeout=60).returncode == 0
