"""Optical flow of a clip by source: none, OpenCV's DIS on the crops, or the exact flow that the data set carries."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from data_pipeline.clips.transforms import warp_flow
from data_pipeline.formats.schema import FLOW_FEATURES, FLOW_SHAPE, flow_of
from jmpose_jax.errors import InputError
from jmpose_jax.ops.optical_flow import dis_flow, flow_pair_indices
from jmpose_jax.records import Clip


def stored_flow(records: Sequence[dict[str, Any]], offsets: Sequence[int], pairs: str, place: str) -> np.ndarray:
    """The exact flow of a clip's pairs, of the whole image.

    Args:
      records: decoded features of the clip's T frames.
      offsets: distances [T] of the frames from the key frame; a repeated frame has its neighbour's.
      pairs: name of the pairs (`flow_pair_indices`).
      place: the clip, for messages.

    Returns:
      float32 [T - 1, h, w, 2], image pixels; zero between a frame and itself.

    Raises:
      InputError: where the data set carries no flow between two frames.
    """
    indices = flow_pair_indices(len(records) // 2, pairs)
    # The frames of a video are of one size. A clip of one repeated frame may carry no flow: 1 × 1 zeros then serve.
    shape = np.max([features.get(FLOW_SHAPE, (1, 1)) for features in records], axis=0).clip(1)
    flow = np.zeros((len(indices), *shape, 2), np.float32)
    for i, (a, b) in enumerate(indices):
        distance = offsets[b] - offsets[a]
        if distance == 0:
            continue
        array = flow_of(records[a], distance) if distance in FLOW_FEATURES else None
        if array is None:
            raise InputError(
                f"{place}: the data set carries no flow over {distance} frames here; render it with flow, "
                "or use flow_source=dis"
            )
        if array.shape != flow[i].shape:
            raise InputError(f"{place}: its frames carry flows of different sizes; render the data set again")
        flow[i] = array
    return flow


def crop_flow(source: str, pairs: str, stride: int) -> Callable[[np.ndarray, Clip, np.ndarray], np.ndarray | None]:
    """The function that gives a clip's flow in crop pixels.

    Args:
      source: one of `options.FLOW_SOURCES`.
      pairs: name of the pairs.
      stride: crop pixels a cell of the result.

    Returns:
      f(crops uint8 [T, H, W, 3], the clip they are of, affine [2, 3] from image to crop pixels) -> float32
      [T-1, H/stride, W/stride, 2] or None.
    """

    def none(crops: np.ndarray, clip: Clip, affine: np.ndarray) -> None:
        return None

    def dis(crops: np.ndarray, clip: Clip, affine: np.ndarray) -> np.ndarray:
        return dis_flow(crops, flow_pair_indices(len(crops) // 2, pairs), stride)

    def exact(crops: np.ndarray, clip: Clip, affine: np.ndarray) -> np.ndarray:
        size, image_size = crops.shape[2:0:-1], clip.frames[0].shape[1::-1]
        return np.stack([warp_flow(field, image_size, affine, size, stride) for field in clip.flow])

    return {"none": none, "dis": dis, "exact": exact}[source]
