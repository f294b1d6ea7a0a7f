"""Rendered videos of several people with what a detector and a pose model would give of them, for benchmarks."""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from data_pipeline.synthetic.config import SyntheticConfig
from data_pipeline.synthetic.render import Video, render_video, video_rng
from data_pipeline.synthetic.visibility import Cause
from jmpose_jax.inference.detectors import non_maximum_suppression
from jmpose_jax.inference.movenet import MIN_BOX_SCORE, MoveNetDetector, pose_predictor, weights

BOX_MARGIN = 0.12  # of the extent of the joints, at each edge
FEWEST_SHOWN = 3  # joints from which on a person is to be found
SCORED = "train"  # the split in whose form the truth is written: every frame is annotated
CLUTTER = 3  # places in a video that are sometimes taken for a person


@dataclasses.dataclass(frozen=True)
class Seen:
    """The N persons that were found in a frame.

    Attributes:
      boxes: float [N, 4], (x, y, width, height); box_scores: float [N].
      keypoints: float [N, 15, 2]; scores: float [N, 15].
    """

    boxes: np.ndarray
    box_scores: np.ndarray
    keypoints: np.ndarray
    scores: np.ndarray


@dataclasses.dataclass(frozen=True)
class Truth:
    """The people who are to be found in a frame, and the boxes of others, which count neither way.

    Attributes:
      ids: int64 [N]; boxes: float [N, 4].
      ignored: float [M, 4].
    """

    ids: np.ndarray
    boxes: np.ndarray
    ignored: np.ndarray


def settings(frames: int) -> SyntheticConfig:
    """Two to four people a video."""
    return SyntheticConfig(people=(0, 0.4, 0.3, 0.3), num_frames=frames)


def videos(count: int, frames: int, seed: int) -> Iterator[tuple[int, Video]]:
    """Videos and their numbers."""
    for number in range(count):
        yield number, render_video(video_rng(seed, "test", number), settings(frames))


def truth(video: Video) -> list[Truth]:
    """The people of each frame."""
    shown = np.isin(video.causes, (Cause.SEEN, Cause.SELF_OCCLUDED)).sum(-1)  # [P, N]
    annotated = np.array([person.annotated for person in video.scene.people])
    found = []
    for frame in range(video.joints.shape[1]):
        boxes = np.stack([_box(joints) for joints in video.joints[:, frame]])
        counted = annotated & (shown[:, frame] >= FEWEST_SHOWN)
        found.append(Truth(np.flatnonzero(counted), boxes[counted], boxes[~counted]))
    return found


def imagined(video: Video, rng: np.random.Generator) -> list[Seen]:
    """What an imagined detector and pose model find: noise, gaps, hidden people with another's pose, and clutter.

    The numbers are those of MoveNet on two children who jump about on a bed: the score of a box falls with what is
    hidden; one in 25 boxes is missing, besides some of a second in a row; a person of whom less than a third is seen
    is missed mostly, and gets the pose of who is in front mostly where not; small things are people with scores of
    0.05 to 0.35.
    """
    people, frames = video.joints.shape[:2]
    height, width = video.frames.shape[1:3]
    missing = rng.random((people, frames)) < 0.04
    for person in range(people):
        for start in np.flatnonzero(rng.random(frames) < 1 / 60):
            missing[person, start : start + rng.integers(4, 20)] = True
    clutter = np.stack([rng.uniform(0, width, CLUTTER), rng.uniform(0, height, CLUTTER)], -1)
    clutter = np.concatenate([clutter, rng.uniform(15, 60, (CLUTTER, 2))], -1)
    found = []
    for t in range(frames):
        rows = []
        shown = video.causes[:, t] == Cause.SEEN
        share = shown.mean(-1)
        boxes = np.stack([_box(joints) for joints in video.joints[:, t]])
        for person in np.flatnonzero(~missing[:, t]):
            if share[person] < 0.35 and rng.random() < 0.6 + 0.4 * (share[person] < 0.1):
                continue
            whose = person
            near = np.linalg.norm(boxes[:, :2] - boxes[person, :2], axis=1)
            near[person] = np.inf
            if share[person] < 0.45 and near.min() < boxes[person, 3] / 2 and rng.random() < 0.7:
                whose = int(near.argmin())  # who is in front
            size = np.sqrt(boxes[whose, 2:].prod())
            joints = video.joints[whose, t] + rng.normal(0, 0.02 * size, (15, 2))
            sure = np.where(shown[whose], rng.normal(0.7, 0.12, 15), rng.normal(0.25, 0.12, 15))
            box = boxes[person] + rng.normal(0, 0.04, 4) * boxes[person, [2, 3, 2, 3]]
            score = np.clip(1.2 * share[person] + rng.normal(0, 0.12), 0.03, 0.98)
            rows.append((box, score, joints, np.clip(sure, 0.02, 0.98)))
        for place in clutter:
            if rng.random() < 0.35:
                box = place + rng.normal(0, 0.05, 4) * place[[2, 3, 2, 3]]
                joints = box[:2] + rng.random((15, 2)) * box[2:]
                rows.append((box, rng.uniform(0.05, 0.35), joints, rng.uniform(0.05, 0.4, 15)))
        seen = Seen(*(np.array([row[k] for row in rows]) for k in range(4))) if rows else nobody()
        found.append(keep(seen, non_maximum_suppression(seen.boxes, seen.box_scores, 0.7, True) if rows else []))
    return found


def seen_by_movenet() -> Callable[[Video], list[Seen]]:
    """What MoveNet finds in the pictures of a video: multipose the boxes, lightning the poses."""
    names = ["movenet_multipose", "movenet_lightning"]
    found = weights(names, print)
    detector = MoveNetDetector(found[names[0]], threshold=MIN_BOX_SCORE / 3)
    predictor = pose_predictor("lightning", found[names[1]], batch_size=4)

    def see(video: Video) -> list[Seen]:
        frames = []
        for number, image in enumerate(video.frames):
            boxes = detector(number, image)
            cut = [predictor.crop((image,), box) for box in boxes.boxes]
            crops, affines = [crop for crop, _ in cut], [affine for _, affine in cut]
            poses = predictor.predict(crops, affines, boxes.scores.tolist())
            frames.append(Seen(*(np.asarray(a, float) for a in (boxes.boxes, boxes.scores, *poses))))
        return frames

    return see


def nobody() -> Seen:
    return Seen(np.zeros((0, 4)), np.zeros(0), np.zeros((0, 15, 2)), np.zeros((0, 15)))


def keep(seen: Seen, rows: np.ndarray | list[int]) -> Seen:
    """Those of the rows, int or bool."""
    rows = np.asarray(rows, bool if np.asarray(rows).dtype == bool else np.int64)
    return Seen(seen.boxes[rows], seen.box_scores[rows], seen.keypoints[rows], seen.scores[rows])


def _box(joints: np.ndarray) -> np.ndarray:
    low, high = joints.min(0), joints.max(0)
    margin = BOX_MARGIN * (high - low)
    return np.concatenate([low - margin, high - low + 2 * margin])
