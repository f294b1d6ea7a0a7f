"""The four records that travel from the annotations to the report.

Clip (host) -> ClipBatch (device) -> PoseOutput (what a model returns) -> Predictions (read by evaluation and drawing).
Images are NHWC; coordinates are (x, y) in pixels with pixel centres on integers. T = 2 * delta + 1 frames in the order
of time, the key frame at index delta.
"""

import dataclasses
from typing import Any

import flax.struct
import jax
import numpy as np


@dataclasses.dataclass(frozen=True)
class Clip:
    """One person in 2δ+1 frames of a video: host side, NumPy, before cropping.

    Attributes:
      frames: T frames, each a JPEG's bytes or a uint8 RGB array [H, W, 3]; a missing neighbour repeats a frame
        (methods.md 1.7).
      frame_offsets: int [T], the distance of each frame from the key frame that was really used.
      box: float32 [4], (x, y, width, height) of the person in the key frame, image pixels.
      box_score: the detector's score, 1 for ground truth.
      keypoints: float32 [K, 2], image pixels of the key frame; zeros where not annotated.
      joint_visibility: float32 [K], 1 where annotated, else 0.
      video: the video's name.
      image_id: PoseTrack id of the key frame.
      person_index: position of the person among the annotations of that frame; -1 for a detection.
      track_id: identity within the video, -1 where unknown.
      flow: float32 [T-1, H/s, W/s, 2] in image pixels where the source carries it (embedded data set), else None.
    """

    frames: tuple[Any, ...]
    frame_offsets: tuple[int, ...]
    box: np.ndarray
    box_score: float
    keypoints: np.ndarray
    joint_visibility: np.ndarray
    video: str
    image_id: int
    person_index: int
    track_id: int
    flow: np.ndarray | None = None


@flax.struct.dataclass
class ClipBatch:
    """A batch of cropped clips: device side, a pytree.

    Attributes:
      frames: uint8 [B, T, H, W, 3], RGB crops of all frames by the key frame's affine.
      keypoints: float32 [B, K, 2], key-frame joints in crop pixels.
      joint_weights: float32 [B, K], 1 where the joint is annotated and inside the crop, else 0.
      transform: float32 [B, 2, 3], affine from crop pixels to image pixels.
      box_score: float32 [B].
      index: int32 [B], the clip's place in the clip table of its split.
      valid: float32 [B], 0 for the padding of a last batch, else 1.
      flow: float32 [B, T-1, H/s, W/s, 2] in crop pixels, (x, y), or None where the model computes it or needs none.
    """

    frames: jax.Array
    keypoints: jax.Array
    joint_weights: jax.Array
    transform: jax.Array
    box_score: jax.Array
    index: jax.Array
    valid: jax.Array
    flow: jax.Array | None = None


@flax.struct.dataclass
class PoseOutput:
    """What every model returns.

    Attributes:
      heatmaps: float32 [B, H/4, W/4, K], the final heatmaps of the key frame.
      initial_heatmaps: float32 [B, T, H/4, W/4, K], the backbone's heatmaps of every frame (T = 1 for image models).
      features: the named intermediate results that losses and pictures read, e.g. "aggregated_heatmaps", "joint",
        "motion".
    """

    heatmaps: jax.Array
    initial_heatmaps: jax.Array
    features: dict[str, Any] = flax.struct.field(default_factory=dict)


@flax.struct.dataclass
class FlowOutput:
    """What a flow network returns when it runs on clips.

    Attributes:
      flow: float32 [N, B, P, H, W, 2], crop pixels, after each of N iterations, for the P pairs of each clip.
      first: uint8 [B, P, H, W, 3], the frames on whose pixels the flow lies.
      second: uint8 [B, P, H, W, 3], the frames that it goes to.
    """

    flow: jax.Array
    first: jax.Array
    second: jax.Array


@dataclasses.dataclass(frozen=True)
class Predictions:
    """The poses of one video, N of them over all frames, the content of a PoseTrack18 result file.

    Attributes:
      video: the video's name; the result file is `<video>.json`.
      images: one mapping a frame with at least `file_name` and `id`, in the order of time.
      image_id: int64 [N], the frame of each pose.
      keypoints: float32 [N, 15, 2], image pixels, order of `skeletons.POSETRACK15`.
      scores: float32 [N, 15], confidence of each joint.
      boxes: float32 [N, 4], (x, y, width, height) that the pose was estimated in.
      track_id: int64 [N].
    """

    video: str
    images: tuple[dict[str, Any], ...]
    image_id: np.ndarray
    keypoints: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray
    track_id: np.ndarray
