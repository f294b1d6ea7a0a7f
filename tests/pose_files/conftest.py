"""Two people of three joints in six frames, as files of every form that is read."""

import csv
import json

import numpy as np
import pytest

JOINTS = ("nose", "left", "right")


def make_people():
    """{identity: {frame: (x, y, score) [3, 3]}}; person 1 is away in frames 2 and 3, one joint of 0 is missing in 4."""
    rng = np.random.default_rng(0)
    poses = rng.uniform(1, 200, (2, 6, 3, 3)).astype(np.float32).astype(float)
    poses[..., 2] = rng.uniform(0.1, 1, (2, 6, 3)).astype(np.float32)
    people = {0: {f: poses[0, f] for f in range(6)}, 1: {f: poses[1, f] for f in (0, 1, 4, 5)}}
    people[0][4][1] = 0
    return people


def write_annotations(path, people, order=None):
    entries = [
        {
            "image_id": 100 + f,
            "id": 10 * f + i,
            "track_id": i,
            "category_id": 1,
            "bbox": [float(f), 2.0, 30.0, 40.0],
            "keypoints": np.column_stack([pose[:, :2], pose[:, 2] > 0]).ravel().tolist(),
            "scores": pose[:, 2].tolist(),
            "mine": "kept",
        }
        for i, poses in people.items()
        for f, pose in poses.items()
    ]
    content = {
        "images": [{"id": 100 + f, "file_name": f"v/{f:06d}.jpg"} for f in range(6)],
        "annotations": [entries[n] for n in order] if order is not None else entries,
        "categories": [{"id": 1, "name": "person", "keypoints": list(JOINTS)}],
        "box_source": "kept",
    }
    path.write_text(json.dumps(content))


def write_results(path, people):
    path.write_text(
        json.dumps(
            [
                {"image_id": 2 * f, "category_id": 1, "keypoints": pose.ravel().tolist(), "score": 0.5, "track_id": i,
                 "bbox": [f, 2, 30, 40]}
                for i, poses in people.items() for f, pose in poses.items()
            ]
        )
    )  # fmt: skip


def write_rows(path, rows):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(rows)


def write_tidy(path, people):
    rows = [["frame", "time_s", "track_id", "joint", "x", "y", "score", "track_score"]]
    for f in range(6):
        for i, poses in people.items():
            for joint, (x, y, score) in zip(JOINTS, poses.get(f, ())):
                x, y, score = (x, y, score) if score else ("", "", "0")
                rows.append([f, f"{f / 25:.6f}", i, joint, x, y, score, "0.5"])
    write_rows(path, rows)


def write_sleap(path, people):
    names = [f"{joint}.{part}" for joint in JOINTS for part in ("x", "y", "score")]
    rows = [["track", "frame_idx", "instance.score", *names]]
    for f in range(6):
        for i, poses in people.items():
            if f in poses:
                cells = [value if triple[2] else "" for triple in poses[f] for value in triple]
                rows.append([f"track_{i}", f, 0.7, *cells])
    write_rows(path, rows)


def dlc_table(people, alone=False):
    animals = {f"animal{i}": poses for i, poses in people.items()}
    animals = {"animal0": animals["animal0"]} if alone else animals
    keys = [(a, joint, c) for a in animals for joint in JOINTS for c in ("x", "y", "likelihood")]
    table = np.full((6, len(keys)), np.nan)
    for a, poses in enumerate(animals.values()):
        for f, pose in poses.items():
            table[f, 9 * a : 9 * a + 9] = np.where(pose[:, 2:] > 0, pose, np.nan).ravel()
    return keys, table


def write_dlc_csv(path, people, alone=False):
    keys, table = dlc_table(people, alone)
    heads = [["scorer", *["s"] * len(keys)]]
    if not alone:
        heads.append(["individuals", *(key[0] for key in keys)])
    heads += [["bodyparts", *(key[1] for key in keys)], ["coords", *(key[2] for key in keys)]]
    write_rows(path, heads + [[f, *("" if np.isnan(v) else v for v in row)] for f, row in enumerate(table.tolist())])


def write_dlc_h5(path, people):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("tables")
    keys, table = dlc_table(people)
    columns = pandas.MultiIndex.from_tuples(
        [("s", *key) for key in keys], names=["scorer", "individuals", "bodyparts", "coords"]
    )
    pandas.DataFrame(table, columns=columns).to_hdf(path, key="df_with_missing", mode="w", format="fixed")


def write_npz(path, people):
    poses, scores = np.full((2, 6, 3, 2), np.nan), np.zeros((2, 6, 3))
    for i, of_person in people.items():
        for f, pose in of_person.items():
            poses[i, f], scores[i, f] = np.where(pose[:, 2:] > 0, pose[:, :2], np.nan), pose[:, 2]
    np.savez(path, poses=poses, scores=scores, joints=np.array(JOINTS), fps=30.0, mine="kept")


WRITE = {
    "annotations": ("poses.json", write_annotations),
    "results": ("results.json", write_results),
    "tidy": ("poses.csv", write_tidy),
    "sleap": ("sleap.csv", write_sleap),
    "dlc_csv": ("dlc.csv", write_dlc_csv),
    "dlc_h5": ("dlc.h5", write_dlc_h5),
    "npz": ("poses.npz", write_npz),
}


@pytest.fixture
def people():
    return make_people()


@pytest.fixture(params=WRITE)
def pose_file(request, people, tmp_path):
    """The path of a file; its form is the name of its folder."""
    name, write = WRITE[request.param]
    path = tmp_path / request.param / name
    path.parent.mkdir()
    write(path, people)
    return path
