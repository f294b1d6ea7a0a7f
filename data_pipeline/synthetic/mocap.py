"""Captured motions in DeepMimic's files, played by our bodies.

A file is JSON with "Loop" ("wrap" or "none") and "Frames" of 44 numbers: duration, root position and rotation, then
the rotations of the joints relative to their parents; quaternions are (w, x, y, z), elbows and knees single angles.
DeepMimic's axes are x to the front, y up, z to the right.
"""

import functools
import json
import pathlib

import numpy as np

from data_pipeline.synthetic import rotations
from data_pipeline.synthetic.body import Body, Pose
from data_pipeline.synthetic.motions import Motion
from jmpose_jax.errors import InputError

_COLUMNS = 44
_QUATERNIONS = {
    "root": 4, "chest": 8, "head": 12, "right_hip": 16, "right_shoulder": 25, "left_hip": 30, "left_shoulder": 39,
}  # fmt: skip
_ANGLES = {"right_knee": 20, "right_elbow": 29, "left_knee": 34, "left_elbow": 43}
_LEG = 0.42154 + 0.40987  # metres, of DeepMimic's humanoid
# Takes DeepMimic's axes to ours: x to the left, y up, z to the front.
_AXES = np.array([[0.0, 0, -1], [0, 1, 0], [1, 0, 0]])
_SEAM = np.cos(np.radians(35) / 2)  # a loop whose last and first pose differ more is played once
_BLEND = 0.25  # seconds in which a loop's end is led over to its start
_MARGIN = 0.6  # seconds kept free at both ends of a motion that is played once


class Recording:
    """A motion file.

    Attributes:
      name: of the motion.
      seconds: its length.
      loops: whether it goes on from its end to its start.
    """

    def __init__(self, name: str, frames: np.ndarray, loops: bool):
        """Args: name; frames float [M, 44]; loops as the file says."""
        self.name = name
        self.seconds = float(frames[:-1, 0].sum())
        self._times = np.concatenate([[0.0], np.cumsum(frames[:-1, 0])])
        turns = np.stack([frames[:, at : at + 4] for at in _QUATERNIONS.values()], 1)
        turns /= np.linalg.norm(turns, axis=-1, keepdims=True)
        # q and -q are the same rotation; neighbours must be on the same side to be blended.
        flips = np.sign((turns[1:] * turns[:-1]).sum(-1, keepdims=True) + 1e-12)
        turns[1:] *= np.cumprod(flips, 0)
        self._rows = np.concatenate(
            [turns.reshape(len(frames), -1), frames[:, list(_ANGLES.values())], frames[:, 1:4]], 1
        )
        seam = np.abs((turns[0] * turns[-1]).sum(-1))
        self.loops = loops and bool((seam > _SEAM).all())
        if self.loops:
            self._close_loop()
        self._advance = (frames[-1, 1:4] - frames[0, 1:4]) * [1, 0, 1]

    def _close_loop(self):
        """Leads the end over to the first pose; the way over the ground stays as it is."""
        share = np.clip((self._times - self.seconds + _BLEND) / _BLEND, 0, 1)[:, None]
        first = np.tile(self._rows[0], (len(self._rows), 1))
        count = 4 * len(_QUATERNIONS)
        turns = self._rows[:, :count].reshape(len(first), -1, 4)
        side = np.sign((turns * first[:, :count].reshape(turns.shape)).sum(-1, keepdims=True) + 1e-12)
        first[:, :count] *= np.repeat(side, 4, -1).reshape(len(first), -1)
        first[:, [-3, -1]] = self._rows[:, [-3, -1]]
        self._rows = self._rows * (1 - share) + first * share

    def at(self, seconds: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray]:
        """Interpolated quaternions [T, 4] and angles [T] by joint, and root positions [T, 3], in DeepMimic's axes."""
        rounds = np.floor(seconds / self.seconds) if self.loops else np.zeros_like(seconds)
        within = np.clip(seconds - rounds * self.seconds, 0, self.seconds)
        row = np.clip(np.searchsorted(self._times, within, "right") - 1, 0, len(self._times) - 2)
        share = ((within - self._times[row]) / np.diff(self._times)[row])[:, None]
        values = self._rows[row] * (1 - share) + self._rows[row + 1] * share
        count = 4 * len(_QUATERNIONS)
        turns = {name: values[:, 4 * i : 4 * i + 4] for i, name in enumerate(_QUATERNIONS)}
        angles = {name: values[:, count + i] for i, name in enumerate(_ANGLES)}
        return turns, angles, values[:, -3:] + rounds[:, None] * self._advance


class RecordedMotion(Motion):
    """A recording played from a moment on, turned about the vertical."""

    def __init__(self, recording: Recording, start: float, yaw: float):
        """Args: recording; start, seconds into it at time 0; yaw, radians."""
        self.name = recording.name
        self.velocity = np.zeros(3)
        self._recording, self._start = recording, start
        self._world = rotations.about(1, np.array(yaw))

    def pose(self, seconds: np.ndarray) -> Pose:
        turns, angles, _ = self._recording.at(seconds + self._start)
        matrices = {name: _AXES @ rotations.from_quaternion(turn) @ _AXES.T for name, turn in turns.items()}
        matrices |= {name: _AXES @ rotations.about(2, angle) @ _AXES.T for name, angle in angles.items()}

        def pair(joint):
            return matrices[f"left_{joint}"], matrices[f"right_{joint}"]

        return Pose(
            root=self._world @ matrices["root"],
            chest=matrices["chest"],
            head=matrices["head"],
            shoulder=pair("shoulder"),
            elbow=pair("elbow"),
            hip=pair("hip"),
            knee=pair("knee"),
        )

    def travel(self, seconds: np.ndarray) -> np.ndarray:
        way = self._recording.at(seconds + self._start)[2] - self._recording.at(np.array([self._start]))[2]
        return (way * [1, 0, 1]) @ _AXES.T @ self._world.T

    def pelvis_height(self, seconds: np.ndarray, body: Body) -> np.ndarray:
        return self._recording.at(seconds + self._start)[2][:, 1] * (body.thigh + body.shank) / _LEG


class Library:
    """The motion files of a folder.

    Attributes:
      recordings: in the order of their names.
    """

    def __init__(self, recordings: list[Recording]):
        self.recordings = recordings

    def random_motion(self, rng: np.random.Generator) -> RecordedMotion:
        """Draws a recording, where it starts and which way it faces (mostly towards the camera)."""
        recording = self.recordings[rng.integers(len(self.recordings))]
        margin = 0.0 if recording.loops else min(_MARGIN, recording.seconds / 2)
        start = rng.uniform(margin, recording.seconds - margin)
        yaw = rng.normal(0, 0.7) + (np.pi if rng.random() < 0.2 else 0)
        return RecordedMotion(recording, start, yaw)


@functools.lru_cache(maxsize=4)
def load_library(folder: str) -> Library:
    """Reads all motion files in a folder and below.

    Args:
      folder: holds `*.txt` or `*.json` in DeepMimic's form; files without "Frames", such as characters, are passed by.

    Returns:
      The library.

    Raises:
      InputError: no motion file there, or one that is malformed.
    """
    root = pathlib.Path(folder)
    files = sorted(path for path in root.rglob("*") if path.suffix in (".txt", ".json"))
    recordings = [recording for path in files if (recording := read_recording(path)) is not None]
    if not recordings:
        raise InputError(f"{folder}: holds no DeepMimic motion files; give the folder with the motions' .txt files")
    return Library(recordings)


def read_recording(path: pathlib.Path) -> Recording | None:
    """Reads a motion file; None where the file is JSON of another kind."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: is no JSON ({error}); remove or repair it") from error
    if not isinstance(content, dict) or "Frames" not in content:
        return None
    try:
        frames = np.array(content["Frames"], float)
    except (TypeError, ValueError):
        frames = np.zeros(0)
    if frames.ndim != 2 or frames.shape[1] != _COLUMNS or len(frames) < 2:
        raise InputError(f"{path}: Frames must be at least 2 rows of {_COLUMNS} numbers")
    if not np.isfinite(frames).all() or (frames[:-1, 0] <= 0).any():
        raise InputError(f"{path}: Frames must hold finite numbers and positive durations")
    if min(np.linalg.norm(frames[:, at : at + 4], axis=1).min() for at in _QUATERNIONS.values()) < 1e-6:
        raise InputError(f"{path}: Frames hold a quaternion of length 0")
    return Recording(path.stem.removeprefix("humanoid3d_"), frames, content.get("Loop") == "wrap")
