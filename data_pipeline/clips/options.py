"""What a loader is told, by what belongs together; each record refuses what no loader can do."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

from data_pipeline.sources.boxes import SCORE_THRESHOLD
from jmpose_jax.errors import InputError
from jmpose_jax.ops.optical_flow import flow_pair_indices

FLOW_SOURCES = ("none", "dis", "exact")


@dataclasses.dataclass(frozen=True)
class ClipOptions:
    """Which clips there are, and how they are cropped.

    Attributes:
      delta: neighbours on each side; clips have T = 2 * delta + 1 frames.
      input_size: (height, width) of the crops in pixels.
      skeleton: order of the joints: one of `skeletons.SKELETONS`, or the data set's own by its name; those that the
        data set does not annotate have weight 0.
      box_enlarge: the crop's size over the box's.
      augment: fields of `transforms.Augmentation`; None for none. Training only.
      complete_windows: leave out the clips that lack a neighbour. Training only: evaluation counts every clip.
      boxes: "ground_truth"; "detections", those given to `jmpose prepare`; or a detector's file. Evaluation only.
      box_threshold: least detector score that is kept.
    """

    delta: int
    input_size: tuple[int, int]
    skeleton: str = "posetrack15"
    box_enlarge: float = 1.25
    augment: Mapping[str, Any] | None = None
    complete_windows: bool = False
    boxes: str | pathlib.Path = "ground_truth"
    box_threshold: float = SCORE_THRESHOLD

    def __post_init__(self) -> None:
        if self.delta < 0 or min(self.input_size) < 1:
            raise InputError(f"delta={self.delta}, input_size={self.input_size}: must be positive")


@dataclasses.dataclass(frozen=True)
class FlowOptions:
    """The optical flow that comes with a clip.

    Attributes:
      source: "none" (a model may compute it), "dis" (OpenCV) or "exact" (which the data set carries).
      pairs: the frames that a flow goes between, that of a model too: "consecutive", "key_to_support" or
        "support_to_key".
      stride: crop pixels a cell of the flow.
    """

    source: str = "none"
    pairs: str = "consecutive"
    stride: int = 4

    def check(self, clips: ClipOptions) -> None:
        """Raises InputError where there can be no such flow of such clips."""
        if self.source == "raft":
            raise InputError("flow_source='raft' is not known: where the model has a flow_network, flow_source is none")
        if self.source not in FLOW_SOURCES:
            raise InputError(f"flow_source={self.source!r} is not known; use one of {', '.join(FLOW_SOURCES)}")
        flow_pair_indices(clips.delta, self.pairs)
        height, width = clips.input_size
        if self.source != "none" and (self.stride < 1 or height % self.stride or width % self.stride):
            raise InputError(f"flow_stride={self.stride} does not divide the input size {height}×{width}")


@dataclasses.dataclass(frozen=True)
class Reading:
    """How records are read.

    Attributes:
      num_workers: processes that load; 0 loads in threads of this process.
      num_threads: threads of each process.
      prefetch: batches kept ready.
      cache_mib: MiB of decoded frames that each process keeps. In training it pays only where it holds the whole split.
      damaged: what a damaged record does: "error" ends the run, naming file and offset; "skip" (training only) logs it
        and gives its clip with `valid` 0 and no joint weights, or, where it is a neighbour, without that frame.
    """

    num_workers: int = 0
    num_threads: int = 2
    prefetch: int = 2
    cache_mib: int = 48
    damaged: str = "error"

    def __post_init__(self) -> None:
        if self.damaged not in ("error", "skip"):
            raise InputError(f"damaged={self.damaged!r}: use error, or in training skip")


@dataclasses.dataclass(frozen=True)
class Share:
    """The part of every batch that this process loads.

    Attributes:
      index: number of the part.
      count: how many parts there are.
    """

    index: int = 0
    count: int = 1
