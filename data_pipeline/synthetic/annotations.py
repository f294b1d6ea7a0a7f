"""The annotation file of a rendered video, in PoseTrack18's form."""

import numpy as np

from data_pipeline.synthetic.config import SyntheticConfig, labelled_frames
from data_pipeline.synthetic.render import Video, joint_speed
from data_pipeline.synthetic.visibility import Cause, findable
from jmpose_jax.skeletons import POSETRACK17, POSETRACK17_TO_15

_FIRST_SEQUENCE = {"train": 1, "val": 100_001, "test": 200_001}
MOTION_DISTANCES = (-2, -1, 1, 2)  # frames between which the true motion of the joints is written
_MPII = 1  # PoseTrack's source number in its ids
_BOX_MARGIN = 1.3  # PoseTrack's boxes against the extent of the joints
_FEWEST_JOINTS = 5  # people with fewer placeable joints are ignored
_FEWEST_SHOWN = 3  # of these must be seen in the frame itself
_SMALLEST_BYSTANDER = 4  # joints in the picture from which on a bystander gets an ignore region


def sequence_number(split: str, index: int) -> int:
    """Number of a video in PoseTrack's ids; the splits' numbers are disjoint."""
    return _FIRST_SEQUENCE[split] + index


def video_name(split: str, index: int) -> str:
    """Name of a video; as in PoseTrack those of val end in `_test`."""
    return f"{sequence_number(split, index):06d}_mpii_{'train' if split == 'train' else 'test'}"


def video_annotations(video: Video, split: str, index: int, config: SyntheticConfig) -> dict:
    """Builds the content of a video's annotation file.

    Args:
      video: the rendered video.
      split: "train", "val" or "test".
      index: of the video in its split.
      config: the settings it was rendered with.

    Returns:
      categories, images and annotations as in PoseTrack18. Joints are annotated where they are in the image and shown
      in at least one frame within `delta`, else 0, 0, 0. Beyond PoseTrack's keys, for analysis only, images have
      `speed_regime`, and annotations `joint_cause` (names of `Cause`), `joint_speed` (pixels a frame), `joint_motion`
      (4 × joints × 2: what each joint travels from the frames at `MOTION_DISTANCES` to this one, pixels), `box_height`
      (pixels) and `blurred`; those of the joints by the file's joint order.
    """
    labelled = labelled_frames(split, config)
    name = video_name(split, index)
    first_id = _MPII * 10**10 + sequence_number(split, index) * 10**4
    placeable = np.stack([findable(causes, config.delta) for causes in video.causes])
    speeds = joint_speed(video.joints)
    images, annotations = [], []
    for frame in range(config.num_frames):
        image_id = first_id + frame
        polygons = []
        for person, actor in enumerate(video.scene.people):
            causes, joints = video.causes[person, frame], video.joints[person, frame]
            usable = placeable[person, frame]
            shown = np.isin(causes, (Cause.SEEN, Cause.SELF_OCCLUDED))
            if actor.annotated and usable.sum() >= _FEWEST_JOINTS and shown.sum() >= _FEWEST_SHOWN:
                if frame in labelled:
                    annotations.append(_annotation(video, person, frame, image_id, usable, speeds[person, frame]))
            elif shown.sum() >= (1 if actor.annotated else _SMALLEST_BYSTANDER):
                polygons.append(_polygon(joints, config))
        images.append({
            "file_name": f"images/{split}/{name}/{frame:06d}.jpg",
            "id": image_id,
            "frame_id": image_id,
            "vid_id": f"{sequence_number(split, index):06d}",
            "nframes": config.num_frames,
            "is_labeled": frame in labelled,
            "has_no_densepose": True,
            "ignore_regions_x": [[x for x, _ in polygon] for polygon in polygons],
            "ignore_regions_y": [[y for _, y in polygon] for polygon in polygons],
            "width": config.width,
            "height": config.height,
            "speed_regime": video.scene.regime,
        })  # fmt: skip
    return {"categories": [_category()], "images": images, "annotations": annotations}


def _category():
    # PoseTrack counts the joints of `skeleton` from 1.
    limbs = [[a + 1, b + 1] for a, b in POSETRACK17.limbs]
    return {
        "supercategory": "person",
        "id": 1,
        "name": "person",
        "keypoints": list(POSETRACK17.joints),
        "skeleton": limbs,
    }


def _slots(values, empty):
    """Values by the 15 joints put into the 17 slots of the file."""
    filled = [empty] * POSETRACK17.num_joints
    for joint, slot in enumerate(POSETRACK17_TO_15):
        filled[slot] = values[joint]
    return filled


def _annotation(video, person, frame, image_id, usable, speed):
    joints = video.joints[person, frame]
    points = [[*point, 1] if placed else [0, 0, 0] for point, placed in zip(_rounded(joints), usable)]
    low, high = joints[usable].min(0), joints[usable].max(0)
    centre, extent = (low + high) / 2, np.maximum(_BOX_MARGIN * (high - low), 1)
    box = _rounded([*(centre - extent / 2), *extent])
    return {
        "image_id": image_id,
        "id": image_id * 100 + person,
        "track_id": person,
        "category_id": 1,
        "bbox": box,
        "bbox_head": _head_box(video, person, frame),
        "keypoints": [value for point in _slots(points, [0, 0, 0]) for value in point],
        "scores": [],
        "joint_cause": _slots([Cause(int(c)).name.lower() for c in video.causes[person, frame]], "none"),
        "joint_speed": _slots(_rounded(speed), 0.0),
        "box_height": box[3],
        "blurred": bool(video.blurred[person, frame]),
        "joint_motion": _joint_motion(video, person, frame),
    }


def _joint_motion(video, person, frame):
    """What each joint travels from the frames at `MOTION_DISTANCES` to this one; zeros where there is no such frame."""
    joints = video.joints[person]
    motion = []
    for distance in MOTION_DISTANCES:
        source = frame + distance
        travelled = joints[frame] - joints[source] if 0 <= source < len(joints) else np.zeros_like(joints[frame])
        motion.append(_slots(_rounded(travelled), [0.0, 0.0]))
    return motion


def _head_box(video, person, frame):
    neck, top = video.joints[person, frame][[12, 14]]
    height = video.head_sizes[person, frame]
    width = 0.8 * height
    x, y = (neck + top) / 2 - np.array([width, height]) / 2
    return _rounded([x, y, width, height])


def _polygon(joints, config):
    """The rectangle around a person, as an ignore region within the image."""
    low, high = joints.min(0), joints.max(0)
    margin = 0.15 * (high - low) + 2
    limits = np.array([config.width - 1, config.height - 1])
    left, top = np.clip(np.floor(low - margin), 0, limits).astype(int).tolist()
    right, bottom = np.clip(np.ceil(high + margin), 0, limits).astype(int).tolist()
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def _rounded(values):
    return np.round(np.asarray(values, float), 2).tolist()
