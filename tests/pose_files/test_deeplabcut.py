"""DeepLabCut's tables: one animal, pictures as frames, frames that are added, and faults."""

import csv

import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.inference.outputs.deeplabcut import write_dlc_csv as write_ours
from jmpose_jax.pose_files.reader import read_poses, write_poses
from jmpose_jax.records import Predictions
from jmpose_jax.refinement.filters import Gaussian
from jmpose_jax.refinement.tracks import refine_tracks
from tests.pose_files.conftest import write_dlc_csv, write_dlc_h5, write_rows

HEADS = [["scorer", "s", "s", "s"], ["bodyparts", "a", "a", "a"], ["coords", "x", "y", "likelihood"]]


def test_one_animal(tmp_path, people):
    write_dlc_csv(tmp_path / "one.csv", people, alone=True)
    file = read_poses(tmp_path / "one.csv")
    (track,) = file.tracks
    assert len(track.frames) == 6
    np.testing.assert_allclose(track.poses[0], people[0][0][:, :2])
    tracks, _ = refine_tracks(file.tracks, None, Gaussian())
    write_poses(file, tracks, tmp_path / "out.csv")
    assert read_poses(tmp_path / "out.csv").tracks[0].valid.all()


def test_our_own_file_is_read(tmp_path, people):
    poses = np.stack(list(people[0].values())).astype(np.float32)
    images = tuple({"id": f, "file_name": str(f)} for f in range(6))
    ours = Predictions("v", images, np.arange(6), np.tile(poses[..., :2], (1, 5, 1)), np.tile(poses[..., 2], (1, 5)),
                       np.ones((6, 4)), np.zeros(6, int))  # fmt: skip
    write_ours(ours, tmp_path / "ours.csv")
    file = read_poses(tmp_path / "ours.csv")
    assert file.joints == ours.skeleton.joints
    np.testing.assert_allclose(file.tracks[0].poses[0], ours.keypoints[0], rtol=1e-5)


def test_frames_that_are_not_there_are_added(tmp_path):
    write_rows(tmp_path / "a.csv", [*HEADS, *([f, f, 2 * f, 0.9] for f in (0, 1, 4, 5))])
    file = read_poses(tmp_path / "a.csv")
    tracks, (report,) = refine_tracks(file.tracks, None, Gaussian())
    assert report.added_frames == 2
    write_poses(file, tracks, tmp_path / "b.csv")
    with open(tmp_path / "b.csv", newline="") as read:
        rows = list(csv.reader(read))
    assert [row[0] for row in rows[3:]] == ["0", "1", "2", "3", "4", "5"]
    np.testing.assert_allclose([float(row[1]) for row in rows[3:]], range(6), atol=1e-6)


def test_pictures_as_frames(tmp_path):
    rows = [["labeled-data", "v", f"img{f}.png", f, 2 * f, 0.9] for f in range(4)]
    write_rows(tmp_path / "a.csv", [*([head[0], "", "", *head[1:]] for head in HEADS), *rows])
    (track,) = read_poses(tmp_path / "a.csv").tracks
    assert track.frames.tolist() == [0, 1, 2, 3] and track.poses[3, 0].tolist() == [3, 6]


def refined(path, out):
    file = read_poses(path)
    write_poses(file, refine_tracks(file.tracks, None, Gaussian())[0], out)
    with open(out, newline="") as read:
        return list(csv.reader(read))


def test_labelled_pictures_far_apart_are_no_neighbours(tmp_path):
    numbers = (0, 50, 51, 53, 2000)
    rows = [[f"labeled-data/v/img{f:04d}.png", 7 * f, f * f / 9, 0.9] for f in numbers]
    write_rows(tmp_path / "a.csv", [*HEADS, *rows])
    (track,) = read_poses(tmp_path / "a.csv").tracks
    assert track.frames.tolist() == list(numbers)
    after = refined(tmp_path / "a.csv", tmp_path / "b.csv")[3:]
    assert [row[0] for row in after] == [f"labeled-data/v/img{f:04d}.png" for f in (0, 50, 51, 52, 53, 2000)]
    assert after[0] == [str(value) for value in rows[0]] and after[-1] == [str(value) for value in rows[-1]]


def test_rows_keep_their_order(tmp_path):
    order = (3, 1, 2, 0, 6, 5)
    write_rows(tmp_path / "a.csv", [*HEADS, *([f, f, 2 * f, 0.9] for f in order)])
    assert [row[0] for row in refined(tmp_path / "a.csv", tmp_path / "b.csv")[3:]] == [*map(str, order), "4"]


def test_likelihood_may_come_first(tmp_path):
    heads = [*HEADS[:2], ["coords", "likelihood", "x", "y"]]
    write_rows(tmp_path / "a.csv", [*heads, *([f, 0.9, f, 2 * f] for f in range(4))])
    (track,) = read_poses(tmp_path / "a.csv").tracks
    assert track.poses[3, 0].tolist() == [3, 6] and track.scores[3, 0] == 0.9


@pytest.mark.parametrize("kind", (np.float32, np.int64))
def test_h5_keeps_types_and_order(tmp_path, kind, people):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("tables")
    columns = pandas.MultiIndex.from_product([["s"], ["a"], ["x", "y"]], names=["scorer", "bodyparts", "coords"])
    index = np.array([5, 1, 2, 3], np.uint64)
    table = pandas.DataFrame(np.arange(8).reshape(4, 2).astype(kind), index=index, columns=columns)
    table.iloc[1:, 0] = [7, 9, 12]
    table.to_hdf(tmp_path / "a.h5", key="k", mode="w")
    file = read_poses(tmp_path / "a.h5")
    write_poses(file, file.tracks, tmp_path / "b.h5")
    pandas.testing.assert_frame_equal(pandas.read_hdf(tmp_path / "b.h5"), table)
    write_poses(file, refine_tracks(file.tracks, None, Gaussian())[0], tmp_path / "c.h5")
    after = pandas.read_hdf(tmp_path / "c.h5")
    assert after.index.tolist() == [5, 1, 2, 3, 4] and after.index.dtype == np.uint64
    assert (after.dtypes == (np.float32 if kind is np.float32 else np.float64)).all()


@pytest.mark.parametrize(
    "rows, culprit",
    [
        (HEADS, "no pose"),
        ([*HEADS, [0, 1, 2]], "line 4"),
        ([*HEADS, [0, 1, "x", 1]], "line 4: column 3"),
        ([*HEADS, [3, 1, 2, 1], [3, 1, 2, 1]], "two rows"),
        ([HEADS[0], HEADS[1], ["coords", "x", "x", "y"], [0, 1, 2, 1]], "twice"),
        (
            [
                ["scorer", *"sssss"],
                ["bodyparts", *"aaabb"],
                ["coords", *"xyzxy"],
                [0, 1, 2, 3, 1, 2],
            ],
            "joint b has no column z",
        ),
        ([HEADS[0], HEADS[1], ["coords", "x", "z", "w"], [0, 1, 2, 1]], "no column x, y"),
    ],
)
def test_faults(tmp_path, rows, culprit):
    write_rows(tmp_path / "a.csv", rows)
    with pytest.raises(InputError, match=culprit):
        read_poses(tmp_path / "a.csv")


def test_h5_keeps_key_and_headings(tmp_path, people):
    write_dlc_h5(tmp_path / "a.h5", people)
    import pandas

    file = read_poses(tmp_path / "a.h5")
    tracks, _ = refine_tracks(file.tracks, None, Gaussian())
    write_poses(file, tracks, tmp_path / "b.h5")
    before, after = (pandas.read_hdf(tmp_path / name, "df_with_missing") for name in ("a.h5", "b.h5"))
    assert after.columns.equals(before.columns) and list(after.columns.names) == list(before.columns.names)
    assert after.index.equals(before.index) and not after.isna().to_numpy().any()


def test_h5_of_pictures_has_new_rows_named_alike(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("tables")
    columns = pandas.MultiIndex.from_product([["s"], ["a"], ["x", "y"]], names=["scorer", "bodyparts", "coords"])
    index = pandas.MultiIndex.from_tuples([("labeled-data", "v", f"img{f:03d}.png") for f in (7, 8, 10, 90)])
    table = pandas.DataFrame(np.arange(8.0).reshape(4, 2) ** 2, index=index, columns=columns)
    table.to_hdf(tmp_path / "a.h5", key="k", mode="w")
    file = read_poses(tmp_path / "a.h5")
    write_poses(file, refine_tracks(file.tracks, None, Gaussian())[0], tmp_path / "b.h5")
    after = pandas.read_hdf(tmp_path / "b.h5")
    assert [label[2] for label in after.index] == [f"img{f:03d}.png" for f in (7, 8, 9, 10, 90)]
    np.testing.assert_array_equal(after.iloc[-1], table.iloc[-1])
