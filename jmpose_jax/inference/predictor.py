"""A trained model as a function from person crops to joints in image pixels."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.inference.crops import clip_crops
from jmpose_jax.inference.estimate import estimator, model_heatmaps
from jmpose_jax.ops.optical_flow import FLOW_PAIRS, dis_flow, flow_pair_indices
from jmpose_jax.records import ClipBatch
from jmpose_jax.skeletons import POSETRACK15, POSETRACK17, SKELETONS, joint_map
from jmpose_jax.systems import SYSTEMS

# (variables, batch) -> keypoints [B, K, 2] in image pixels, scores [B, K].
Estimate = Callable[[Mapping[str, Any], ClipBatch], tuple[jax.Array, jax.Array]]


class Predictor:
    """Estimates the poses of persons in windows of frames, in batches of one fixed shape.

    Every batch is padded to `batch_size`, so that the model is compiled once whatever the number of persons.
    """

    def __init__(
        self,
        estimate: Estimate,
        variables: Mapping[str, Any],
        *,
        input_size: tuple[int, int],
        delta: int,
        flow_source: str = "none",
        flow_pairs: str = "consecutive",
        flow_stride: int = 1,
        skeleton: str = "posetrack15",
        batch_size: int = 8,
        box_enlarge: float = 1.25,
    ):
        """Take a model.

        Args:
          estimate: from `inference.estimate.estimator`; it is jitted here.
          variables: the model's.
          input_size: (height, width) of the crops.
          delta: neighbours on each side of the key frame.
          flow_source: "dis" computes the flow here; "none" leaves it to the model.
          flow_pairs: frames that flow is computed between.
          flow_stride: crop pixels to a cell of the flow.
          skeleton: joint order of the model, "posetrack15", "posetrack17" or "coco17"; the results' is the attribute
            `skeleton`, which has all joints of the model but the ears of posetrack17.
          batch_size: persons estimated at once.
          box_enlarge: the crop's size over the box's.

        Raises:
          InputError: for settings that cannot be served on a video.
        """
        if skeleton not in SKELETONS:
            raise InputError(f"skeleton {skeleton!r} is not known; use one of {', '.join(SKELETONS)}")
        if flow_source not in ("none", "dis"):
            raise InputError(f"flow_source={flow_source!r} cannot be computed on a video; use dis or none")
        if flow_source == "dis" and flow_pairs not in FLOW_PAIRS:
            raise InputError(f"flow_pairs={flow_pairs!r} is not known; use one of {', '.join(FLOW_PAIRS)}")
        self.delta, self.batch_size, self.input_size = delta, batch_size, (int(input_size[0]), int(input_size[1]))
        self.before_compiling: Callable[[], None] = lambda: None  # called once, before the first batch
        self._compiled = False
        self._estimate = jax.jit(estimate)
        self._variables = jax.device_put(variables)
        self._stored = SKELETONS[skeleton]
        # PoseTrack annotates nobody's ears: those of its 17 slots were trained for nothing.
        self.skeleton = POSETRACK15 if skeleton == POSETRACK17.name else self._stored
        self._kept = list(joint_map(self._stored, self.skeleton))
        self._pairs = flow_pair_indices(delta, flow_pairs) if flow_source == "dis" and delta else None
        self._flow_stride, self._flow_pairs = flow_stride, flow_pairs
        self._box_enlarge = box_enlarge

    def crop(self, frames: tuple[np.ndarray, ...], box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The crops uint8 [T, H, W, 3] of a box in a window, and their affine to image pixels float32 [2, 3]."""
        return clip_crops(frames, box, self.input_size, self._box_enlarge)

    def batch(
        self, crops: Sequence[np.ndarray], transforms: Sequence[np.ndarray], scores: Sequence[float]
    ) -> ClipBatch:
        """The padded batch of up to `batch_size` persons; arguments as in `predict`."""
        count, size = len(crops), self.batch_size
        frames = np.zeros((size, 2 * self.delta + 1, *self.input_size, 3), np.uint8)
        transform = np.tile(np.eye(2, 3, dtype=np.float32), (size, 1, 1))
        box_score, valid = np.zeros(size, np.float32), np.zeros(size, np.float32)
        frames[:count], transform[:count], box_score[:count], valid[:count] = crops, transforms, scores, 1
        flow = None
        if self._pairs is not None:
            stride = self._flow_stride
            shape = (size, len(self._pairs), self.input_size[0] // stride, self.input_size[1] // stride, 2)
            flow = np.zeros(shape, np.float32)
            for n in range(count):
                flow[n] = dis_flow(frames[n], self._pairs, stride)
        return ClipBatch(
            frames=frames,
            keypoints=np.zeros((size, self._stored.num_joints, 2), np.float32),
            joint_weights=np.zeros((size, self._stored.num_joints), np.float32),
            transform=transform,
            box_score=box_score,
            index=np.full(size, -1, np.int32),
            valid=valid,
            flow=flow,
            flow_pairs=self._flow_pairs,
        )

    def predict(
        self, crops: Sequence[np.ndarray], transforms: Sequence[np.ndarray], scores: Sequence[float]
    ) -> tuple[np.ndarray, np.ndarray]:
        """The poses of N persons.

        Args:
          crops: N arrays uint8 [T, H, W, 3], from `crop`.
          transforms: N arrays float32 [2, 3], crop pixels to image pixels.
          scores: N scores of the boxes.

        Returns:
          keypoints: float32 [N, K, 2] in image pixels, of the joints of `skeleton`; scores: float32 [N, K].

        Raises:
          InputError: the model has another number of joints than its skeleton.
        """
        joints = self.skeleton.num_joints
        keypoints = np.zeros((len(crops), joints, 2), np.float32)
        confidences = np.zeros((len(crops), joints), np.float32)
        for start in range(0, len(crops), self.batch_size):
            part = slice(start, min(start + self.batch_size, len(crops)))
            batch = self.batch(crops[part], transforms[part], scores[part])
            if not self._compiled:
                self.before_compiling()
                self._compiled = True
            found = jax.device_get(self._estimate(self._variables, batch))
            count = part.stop - part.start
            if found[0].shape[1] != self._stored.num_joints:
                raise InputError(
                    f"the model has {found[0].shape[1]} joints, its skeleton {self._stored.name} has "
                    f"{self._stored.num_joints}"
                )
            keypoints[part], confidences[part] = found[0][:count, self._kept], found[1][:count, self._kept]
        return keypoints, confidences


def from_checkpoint(
    path: str, *, flip_test: bool | None = None, batch_size: int = 8, decode: str | None = None
) -> Predictor:
    """The predictor of a checkpoint.

    Args:
      path: workdir, its `checkpoints/`, or one step's folder.
      flip_test: average with the mirrored clip; None takes what the config says.
      batch_size: persons estimated at once.
      decode: "argmax", "quarter_offset" or "dark"; None takes what the config says.

    Raises:
      InputError: no checkpoint, or one that cannot run on a video.
    """
    from jmpose_jax.train.trained import load_model

    config, model, variables = load_model(path)
    if SYSTEMS[config["model"]["name"]].evaluation != "posetrack":
        poses = [name for name, row in SYSTEMS.items() if row.evaluation == "posetrack"]
        raise InputError(
            f"checkpoint {path}: a model {config['model']['name']!r} estimates no poses; give one of {', '.join(poses)}"
        )
    dataset, evaluation = config.get("dataset", {}), config.get("eval", {})
    # A converted checkpoint knows no data set, but the joints of its head.
    skeleton = dataset.get("skeleton") or config.get("source", {}).get("head", "posetrack15")
    if skeleton not in SKELETONS:
        raise InputError(f"checkpoint {path}: its config names the skeleton {skeleton!r}, which is not known")
    heatmaps = model_heatmaps(
        model,
        SKELETONS[skeleton],
        flip_test=bool(evaluation.get("flip_test", True)) if flip_test is None else flip_test,
        shift=bool(evaluation.get("shift_heatmap", True)),
        source=f"checkpoint {path}",
    )
    source = dataset.get("flow_source", "none")
    return Predictor(
        estimator(
            heatmaps,
            decode=decode or evaluation.get("decode", "dark"),
            blur_kernel=int(evaluation.get("blur_kernel", 11)),
        ),
        variables,
        input_size=tuple(dataset.get("input_size", (384, 288))),
        delta=int(dataset.get("delta", 0)),
        # The renderer's exact flow exists for the embedded data set alone; a video gets OpenCV's in its place.
        flow_source="dis" if source == "exact" else source,
        flow_pairs=dataset.get("flow_pairs", "consecutive"),
        flow_stride=int(dataset.get("flow_stride", 4)),
        skeleton=skeleton,
        batch_size=batch_size,
        box_enlarge=float(dataset.get("box_enlarge", 1.25)),
    )
