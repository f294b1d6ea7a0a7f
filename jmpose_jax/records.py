"""The records that travel from the annotations to the report.

Clip (host) -> ClipBatch (device) -> PoseOutput (what a model returns) -> Predictions (read by evaluation and drawing).
Images are NHWC; coordinates are (x, y) in pixels with pixel centres on integers. T = 2 * delta + 1 frames in the order
of time, the key frame at index delta.
"""

import dataclasses
from typing import Any, Protocol

import flax.struct
import jax
import numpy as np

from jmpose_jax.skeletons import POSETRACK15, Skeleton


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


class Batch(Protocol):
    """All that the training loop and an evaluation read of a batch, whatever it is a batch of.

    Attributes:
      index: int32 [B], the example's place in the table of its split.
      valid: float32 [B], 0 for the padding of a last batch, else 1.
    """

    index: jax.Array
    valid: jax.Array


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
      flow_pairs: which frames a flow goes between, that of `flow` and that which a model computes: "consecutive",
        "key_to_support" or "support_to_key", as in `ops.optical_flow.flow_pair_indices`. Static.
    """

    frames: jax.Array
    keypoints: jax.Array
    joint_weights: jax.Array
    transform: jax.Array
    box_score: jax.Array
    index: jax.Array
    valid: jax.Array
    flow: jax.Array | None = None
    flow_pairs: str = flax.struct.field(pytree_node=False, default="consecutive")

    @classmethod
    def spec(
        cls,
        batch_size: int,
        *,
        delta: int,
        input_size: tuple[int, int],
        num_joints: int,
        flow_stride: int | None = None,
        flow_pairs: str = "consecutive",
    ) -> "ClipBatch":
        """Shapes and dtypes of a batch, without data.

        Args:
          batch_size: B.
          delta: δ; T = 2δ+1.
          input_size: (H, W), pixels.
          num_joints: K.
          flow_stride: s, crop pixels a cell of the flow; None for a batch without flow.
          flow_pairs: see the class.

        Returns:
          A ClipBatch of `jax.ShapeDtypeStruct`.
        """
        frames, (height, width) = 2 * delta + 1, input_size

        def array(*shape: int, dtype: Any = np.float32) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct((batch_size, *shape), dtype)

        flow = None
        if flow_stride is not None and delta:
            flow = array(frames - 1, height // flow_stride, width // flow_stride, 2)
        return cls(
            frames=array(frames, height, width, 3, dtype=np.uint8),
            keypoints=array(num_joints, 2),
            joint_weights=array(num_joints),
            transform=array(2, 3),
            box_score=array(),
            index=array(dtype=np.int32),
            valid=array(),
            flow=flow,
            flow_pairs=flow_pairs,
        )


@flax.struct.dataclass
class PoseOutput:
    """What every pose model returns; systems whose losses or pictures read more extend it.

    Attributes:
      heatmaps: float32 [B, H/4, W/4, K], the final heatmaps of the key frame.
      initial_heatmaps: float32 [B, T, H/4, W/4, K], the backbone's heatmaps of every frame (T = 1 for image models).
    """

    heatmaps: jax.Array
    initial_heatmaps: jax.Array


@flax.struct.dataclass
class JMPoseOutput(PoseOutput):
    """What JM-Pose returns.

    Attributes:
      aggregated: Ĥ_t, float32 [B, h, w, K].
      flow: float32 [B, T-1, H/s, W/s, 2] that the motion feature was made from; None where it reads no flow.
      motion: M_t, float32 [B, h, w, C].
      joint: J_t, float32 [B, h, w, C].
      layers: (J^i, M^i) of the layers i = 1 … L of mutual learning, each [B, h, w, C].
      predictions: what the information terms read, `information.predictors.LayerPredictions`, one a layer; empty for a
        model without predictors.
    """

    aggregated: jax.Array
    flow: jax.Array | None
    motion: jax.Array
    joint: jax.Array
    layers: tuple[tuple[jax.Array, jax.Array], ...]
    predictions: tuple[Any, ...] = ()


@flax.struct.dataclass
class TDMIOutput(PoseOutput):
    """What TDMI returns; features are float32 [B, h, w, C].

    Attributes:
      motion: m, what the temporal differences say.
      useful: F_m, the part of it that is of use.
      noisy: F_n, the rest.
      appearance: F_a, of the aligned frames.
      fused: F, what the heatmaps are made from.
      useful_labels: heatmaps read off F_m, float32 [B, h, w, K]; no gradient passes.
      appearance_labels: the same of F_a.
    """

    motion: jax.Array
    useful: jax.Array
    noisy: jax.Array
    appearance: jax.Array
    fused: jax.Array
    useful_labels: jax.Array
    appearance_labels: jax.Array


@flax.struct.dataclass
class TIPSDOutput(PoseOutput):
    """What TIPSD (a reconstruction) returns; T = 3 frames t - 1, t, t + 1.

    Attributes:
      interim: maps at t - ½ and t + ½, float32 [B, 2, h, w, K]; None for a model without them.
      skipped: the key frame's maps synthesized from its neighbours alone, float32 [B, h, w, K]; None out of training.
      backward: `interim` from the frames in reverse order; None out of training, or where it is not trained for.
      parts: f_g, the features of G part groups, float32 [G, B, h, w, C].
      key: F_t, float32 [B, h, w, C].
      predictions: what the information terms read, `information.part_predictors.PartPredictions`, or None.
    """

    interim: jax.Array | None
    skipped: jax.Array | None
    backward: jax.Array | None
    parts: jax.Array
    key: jax.Array
    predictions: Any = None


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


@flax.struct.dataclass
class SequenceBatch:
    """A batch of pose sequences: device side, a pytree.

    Attributes:
      poses: float32 [B, T, C], estimated coordinates, C = joints × dimensions with a joint's dimensions side by side.
      target: float32 [B, T, C], the true ones.
      labelled: float32 [B, T, C], 1 where the truth of a coordinate is known, else 0 (frames or joints without labels,
        the padding of short sequences); or [B, T] where that is one of all coordinates of a frame.
      index: int32 [B], the window's place in the table of its split.
      valid: float32 [B], 0 for the padding of a last batch, else 1.
    """

    poses: jax.Array
    target: jax.Array
    labelled: jax.Array
    index: jax.Array
    valid: jax.Array

    @classmethod
    def spec(cls, batch_size: int, window: int, channels: int) -> "SequenceBatch":
        """Shapes and dtypes of a batch, without data.

        Args:
          batch_size: B.
          window: T, frames.
          channels: C, coordinates of a pose.

        Returns:
          A SequenceBatch of `jax.ShapeDtypeStruct`.
        """
        poses = jax.ShapeDtypeStruct((batch_size, window, channels), np.float32)
        index, valid = (jax.ShapeDtypeStruct((batch_size,), dtype) for dtype in (np.int32, np.float32))
        return cls(poses, poses, poses, index, valid)


@flax.struct.dataclass
class SequenceOutput:
    """What every network of pose sequences returns.

    Attributes:
      poses: float32 [B, T, C], the refined coordinates.
      encoder_poses: float32 [B, T, C], the input as the encoder refined it; the seen frames alone mean anything.
      seen: float32 [T], 1 at the frames that the encoder saw, else 0.
    """

    poses: jax.Array
    encoder_poses: jax.Array
    seen: jax.Array


@dataclasses.dataclass(frozen=True)
class Predictions:
    """The poses of one video, N of them over all frames: what evaluation scores and result files are written from.

    Attributes:
      video: the video's name; the result file is `<video>.json`.
      images: one mapping a frame with at least `file_name` and `id`, in the order of time.
      image_id: int64 [N], the frame of each pose.
      keypoints: float32 [N, K, 2], image pixels, order of `skeleton`.
      scores: float32 [N, K], confidence of each joint.
      boxes: float32 [N, 4], (x, y, width, height) that the pose was estimated in.
      track_id: int64 [N].
      skeleton: the K joints.
      box_scores: float32 [N], confidence of each box, or None where it is not known.
      times: float64 [frames], seconds since the first frame of each of `images`, or None where that is not known.
      track_score: float32 [N] in 0..1, how sure it is that the person is the track's; None where nothing tells.
      numbers: int64 [frames], the number of each of `images` in the video; None where that is its place among them.
      interpolated: bool [N], whether no network gave the pose, and it lies between those of other frames; None where
        all were estimated.
    """

    video: str
    images: tuple[dict[str, Any], ...]
    image_id: np.ndarray
    keypoints: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray
    track_id: np.ndarray
    skeleton: Skeleton = POSETRACK15
    box_scores: np.ndarray | None = None
    times: np.ndarray | None = None
    track_score: np.ndarray | None = None
    numbers: np.ndarray | None = None
    interpolated: np.ndarray | None = None

    @property
    def number(self) -> np.ndarray:
        """int64 [N], the number of each pose's frame, as the video counts its frames."""
        return self.frame if self.numbers is None else np.asarray(self.numbers)[self.frame]

    @property
    def frame(self) -> np.ndarray:
        """int64 [N], the place of each pose's frame in `images`."""
        number = {image["id"]: i for i, image in enumerate(self.images)}
        return np.array([number[image_id] for image_id in np.asarray(self.image_id).tolist()], np.int64)
