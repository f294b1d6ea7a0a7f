import json

import numpy as np
import pytest

from data_pipeline.synthetic.body import POINT, forward_kinematics, random_body
from data_pipeline.synthetic.mocap import load_library, read_recording
from data_pipeline.synthetic.people import Person
from data_pipeline.synthetic.render import SyntheticConfig, render_video, video_rng
from jmpose_jax.errors import InputError


def frame(seconds=0.1, height=0.9, knee=0.0, x=0.0):
    identity = [1.0, 0, 0, 0]
    legs = [*identity, knee, *identity]  # hip, knee, ankle
    arms = [*identity, 0.0]
    return [seconds, x, height, 0.0, *identity, *identity, *identity, *legs, *arms, *legs, *arms]


def write(folder, frames, name="humanoid3d_test.txt", loop="none"):
    (folder / name).write_text(json.dumps({"Loop": loop, "Frames": frames}))
    return folder / name


def test_a_bent_knee_moves_the_ankle_back(tmp_path):
    recording = read_recording(write(tmp_path, [frame(), frame(knee=-1.0)]))
    turns, angles, root = recording.at(np.array([0.0, 0.05, 0.1]))
    np.testing.assert_allclose(angles["left_knee"], [0, -0.5, -1.0])
    load_library.cache_clear()
    motion = load_library(str(tmp_path)).random_motion(np.random.default_rng(0))
    motion._start, motion._world = 0.0, np.eye(3)
    points = forward_kinematics(motion.pose(np.array([0.0, 0.1])), random_body(np.random.default_rng(0)))
    assert points[1, POINT["left_ankle"], 2] < points[0, POINT["left_ankle"], 2] - 0.2
    assert points[0, POINT["left_hip"], 0] > 0


def test_a_loop_goes_on_where_it_ended(tmp_path):
    recording = read_recording(write(tmp_path, [frame(x=0.0), frame(x=0.5), frame(x=1.0)], loop="wrap"))
    assert recording.loops
    _, _, root = recording.at(np.array([0.05, 0.25, 0.45, -0.15]))
    np.testing.assert_allclose(root[:, 0], [0.25, 1.25, 2.25, -0.75])


def test_every_published_motion_can_be_played(shared):
    library = load_library(str(shared / "data" / "mocap_deepmimic"))
    assert len(library.recordings) == 20
    rng = np.random.default_rng(0)
    body = random_body(rng)
    names = set()
    for _ in range(60):
        motion = library.random_motion(rng)
        names.add(motion.name)
        person = Person(body, motion, 0.05, np.zeros(3), None)
        points = person.points(np.arange(9) - 4.0)
        assert np.isfinite(points).all()
        assert points[:, POINT["left_ankle"], 1].min() > 0
        thigh = np.linalg.norm(points[:, POINT["left_hip"]] - points[:, POINT["left_knee"]], axis=-1)
        np.testing.assert_allclose(thigh, body.thigh)
    assert len(names) > 12


def test_the_published_walk_walks(shared):
    path = shared / "data" / "mocap_deepmimic" / "data" / "motions" / "humanoid3d_walk.txt"
    recording = read_recording(path)
    seconds = np.linspace(0, 2.5, 100)
    turns, angles, root = recording.at(seconds)
    assert recording.loops
    assert 0.6 < (root[-1, 0] - root[0, 0]) / 2.5 < 1.6  # metres a second, ahead
    np.testing.assert_allclose(recording.at(np.array([recording.seconds - 1e-9]))[1]["left_knee"],
                               recording.at(np.array([0.0]))[1]["left_knee"], atol=1e-6)  # fmt: skip
    left, right = turns["left_hip"][:, 3], turns["right_hip"][:, 3]
    assert np.corrcoef(left, right)[0, 1] < -0.5
    assert np.abs(angles["left_knee"]).max() > 0.5


def test_a_video_of_recorded_motions(shared):
    library = load_library(str(shared / "data" / "mocap_deepmimic"))
    config = SyntheticConfig(num_frames=5, mocap="given", mocap_fraction=1.0, people=(1.0,))
    recorded = {recording.name for recording in library.recordings}
    video = render_video(video_rng(0, "train", 0), config, library)
    assert video.scene.people[0].motion.name in recorded


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "no JSON"),
        (json.dumps({"Frames": [[1.0] * 43] * 3}), "44 numbers"),
        (json.dumps({"Frames": [frame()]}), "at least 2"),
        (json.dumps({"Frames": [frame(seconds=0.0), frame()]}), "positive durations"),
        (json.dumps({"Frames": [[0.1] + [0.0] * 43] * 2}), "quaternion"),
        (json.dumps({"Frames": "x"}), "44 numbers"),
    ],
)
def test_motion_files_at_fault_are_named(tmp_path, content, message):
    (tmp_path / "broken.txt").write_text(content)
    with pytest.raises(InputError, match=f"broken.txt.*{message}"):
        read_recording(tmp_path / "broken.txt")


def test_a_folder_without_motions_is_named(tmp_path):
    (tmp_path / "character.txt").write_text('{"Skeleton": {}}')
    with pytest.raises(InputError, match="no DeepMimic"):
        load_library(str(tmp_path))
