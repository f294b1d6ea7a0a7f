"""JSON forms: orders, gaps that are no numbers, entries that are left alone, and faults."""

import json

import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.pose_files.reader import read_poses, write_poses
from jmpose_jax.refinement.filters import Gaussian
from jmpose_jax.refinement.sequence import Options
from jmpose_jax.refinement.tracks import refine_tracks
from tests.pose_files.conftest import write_annotations


def changed(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def path(tmp_path, people):
    write_annotations(tmp_path / "p.json", people)
    return tmp_path / "p.json"


def test_entries_of_any_order_are_sorted(path, people, tmp_path):
    order = np.random.default_rng(0).permutation(10)
    write_annotations(tmp_path / "shuffled.json", people, order)
    tracks = {track.name: track for track in read_poses(tmp_path / "shuffled.json").tracks}
    for track in read_poses(path).tracks:
        np.testing.assert_array_equal(tracks[track.name].frames, track.frames)
        np.testing.assert_array_equal(tracks[track.name].poses, track.poses)


def test_null_and_nan_are_gaps_and_never_written(path, tmp_path):
    def damage(content):
        content["annotations"][1]["keypoints"][0] = None
        content["annotations"][2]["keypoints"][4] = float("nan")
        content["annotations"][9]["keypoints"][3] = float("inf")

    file = read_poses(changed(path, damage))
    first, second = file.tracks
    assert np.argwhere(~first.valid).tolist() == [[1, 0], [2, 1], [4, 1]] and not second.valid[3, 1]
    tracks, _ = refine_tracks(file.tracks, None, Gaussian(), Options(max_gap=1))
    write_poses(file, tracks, tmp_path / "out.json")
    content = json.loads((tmp_path / "out.json").read_text(), parse_constant=pytest.fail)
    assert content["box_source"] == "kept" and all("mine" in entry for entry in content["annotations"])
    again = read_poses(tmp_path / "out.json")
    assert again.tracks[0].valid.all() and not again.tracks[1].valid[3, 1]


def test_an_added_entry_lies_between_those_beside_it(path, tmp_path):
    file = read_poses(path)
    tracks, _ = refine_tracks(file.tracks, None, Gaussian(), Options(max_gap=2))
    write_poses(file, tracks, tmp_path / "out.json")
    entries = json.loads((tmp_path / "out.json").read_text())["annotations"]
    added = [entry for entry in entries if entry.get("interpolated")]
    assert [entry["image_id"] for entry in added] == [102, 103] and len(entries) == 12
    assert all(entry["track_id"] == 1 and entry["category_id"] == 1 for entry in added)
    np.testing.assert_allclose([entry["bbox"] for entry in added], [[2, 2, 30, 40], [3, 2, 30, 40]])
    assert len({entry["id"] for entry in entries}) == 12
    assert all(entry["keypoints"][2::3] == [1, 1, 1] for entry in added)


def test_without_identities_there_is_one_person(path):
    def alone(content):
        content["annotations"] = [e for e in content["annotations"] if e["track_id"] == 0]
        for entry in content["annotations"]:
            del entry["track_id"]

    (track,) = read_poses(changed(path, alone)).tracks
    assert len(track.frames) == 6


def test_what_has_no_keypoints_or_identity_is_left_alone(path, tmp_path):
    def add(content):
        content["annotations"].append({"image_id": 100, "id": 900, "bbox": [1, 2, 3, 4]})
        content["annotations"].append(dict(content["annotations"][0], track_id=-1, id=901))

    file = read_poses(changed(path, add))
    assert len(file.tracks) == 2 and len(file.notes) == 2
    tracks, _ = refine_tracks(file.tracks, None, Gaussian())
    write_poses(file, tracks, tmp_path / "out.json")
    before, after = (json.loads(p.read_text())["annotations"] for p in (path, tmp_path / "out.json"))
    assert after[10:12] == before[10:12]


def test_changing_identities_are_tracks_of_their_own(path):
    def switch(content):
        for entry in content["annotations"]:
            if entry["track_id"] == 0 and entry["image_id"] >= 103:
                entry["track_id"] = 7

    assert {track.name: len(track.frames) for track in read_poses(changed(path, switch)).tracks} == {
        "0": 3, "7": 3, "1": 4,
    }  # fmt: skip


def gap(path, **values):
    """Without person 0's frame 2; `values` in all of its entries."""

    def change(content):
        content["annotations"] = [{**e, **values} for e in content["annotations"] if e["track_id"] == 0]
        del content["annotations"][2]
        for entry in content["annotations"]:
            entry["id"] = f"e{entry['id']}"

    return changed(path, change)


def rewritten(path, out):
    file = read_poses(path)
    write_poses(file, refine_tracks(file.tracks, None, Gaussian(), Options(max_move=0.0))[0], out)
    return json.loads(out.read_text())["annotations"]


def test_what_was_not_moved_keeps_its_digits(path, tmp_path):
    def change(content):
        for entry in content["annotations"]:
            entry["keypoints"] = [10.123456789012, 20.1, 1, 30, 40, 1, 0, 0, 0]
            entry["scores"] = [0.123456789012, 1, 0]
        content["annotations"][2]["keypoints"][3:6] = [None, None, 1]

    after = rewritten(changed(path, change), tmp_path / "out.json")[2]
    assert after["keypoints"] == [10.123456789012, 20.1, 1, 30, 40, 1, 0, 0, 0]
    assert after["scores"] == [0.123456789012, 1, 0]
    assert [type(value) for value in after["keypoints"][5:]] == [int] * 4


def test_moved_joints_are_written_with_all_their_digits(path, tmp_path):
    file = read_poses(path)
    tracks, _ = refine_tracks(file.tracks, None, Gaussian())
    write_poses(file, tracks, tmp_path / "out.json")
    np.testing.assert_array_equal(read_poses(tmp_path / "out.json").tracks[0].poses, tracks[0].poses)


@pytest.mark.parametrize("bbox", ([10**400] * 4, [float("nan")] * 4, [1e308] * 4, [True] * 4, "a", None))
def test_an_added_entry_has_no_box_where_there_is_none_between(path, tmp_path, bbox):
    added = [e for e in rewritten(gap(path, bbox=bbox), tmp_path / "out.json") if e.get("interpolated")]
    assert len(added) == 1 and "bbox" not in added[0]


def test_ids_of_added_entries_are_of_the_files_kind(path, tmp_path):
    entries = rewritten(gap(path), tmp_path / "out.json")
    ids = [entry["id"] for entry in entries]
    assert len(set(ids)) == len(ids) and all(isinstance(each, str) for each in ids)


def test_whole_numbers_name_a_track_in_any_form(path):
    def change(content):
        for n, entry in enumerate(content["annotations"]):
            entry["track_id"] = (1.0, 1, "1")[n % 3] if entry["track_id"] else 0

    assert [track.name for track in read_poses(changed(path, change)).tracks] == ["0", "1"]


def remove(key):
    return lambda content: content["annotations"][0].pop(key)


@pytest.mark.parametrize(
    "change, culprit",
    [
        (lambda c: c["annotations"][3].update(keypoints=[1, 2, 3]), r"annotations\[3\]"),
        (lambda c: c["annotations"][3].update(keypoints=["1"] * 9), r"annotations\[3\]"),
        (lambda c: c["annotations"][3].update(scores=[1]), r"annotations\[3\].*scores"),
        (lambda c: c["annotations"][3].update(image_id=5), r"annotations\[3\].*image 5"),
        (lambda c: c["annotations"][3]["keypoints"].__setitem__(0, 1e300), "1e\\+300"),
        (lambda c: c["annotations"][3]["keypoints"].__setitem__(0, 10**400), "too large"),
        (lambda c: c["annotations"][1].update(image_id=100), "identity 0 occurs twice in frame 0"),
        (lambda c: c["annotations"][1].update(track_id=[1]), "track_id"),
        (lambda c: [e.pop("track_id") for e in c["annotations"]], "no 'track_id'"),
        (lambda c: c["images"].append(c["images"][0]), "unique"),
        (lambda c: c["images"].append("x"), "id"),
        (lambda c: c["images"].append({"id": 2**63}), "63 bits"),
        (lambda c: c.update(categories=5), "categories"),
        (lambda c: [i.update(vid_id=n % 2) for n, i in enumerate(c["images"])], "2 videos"),
        (lambda c: c.update(annotations=[]), "no pose"),
        (lambda c: c.update(annotations=[3]), r"annotations\[0\]"),
        (lambda c: c["categories"][0].update(keypoints=["a", "a", "b"]), "names, each once"),
        (lambda c: c["categories"][0].update(keypoints=["a", "b"]), r"9 numbers, expected 6"),
    ],
)
def test_faults(path, change, culprit):
    with pytest.raises(InputError, match=culprit) as caught:
        read_poses(changed(path, change))
    assert "p.json" in str(caught.value) and "\n" not in str(caught.value)
