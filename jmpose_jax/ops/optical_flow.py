"""Optical flow between the frames of a clip on the host: which frames are paired, and OpenCV's DIS flow."""

import cv2
import numpy as np

from jmpose_jax.errors import InputError

FLOW_PAIRS = ("consecutive", "key_to_support", "support_to_key")


def flow_pair_indices(delta: int, name: str = "consecutive") -> tuple[tuple[int, int], ...]:
    """The 2δ pairs (a, b) of frame indices whose flow a → b a clip carries.

    Args:
      delta: neighbours on each side; the clip has 2δ+1 frames with the key frame at index δ.
      name: "consecutive" (t-2→t-1, t-1→t, t→t+1, t+1→t+2: Eq. 1 for any δ), "key_to_support" (t→t-2, t→t-1, t→t+1,
        t→t+2) or "support_to_key" (the reverse of it).

    Returns:
      2δ index pairs, in the order of the flow array's first axis.

    Raises:
      InputError: for an unknown name.
    """
    if name not in FLOW_PAIRS:
        raise InputError(f"flow_pairs={name!r} is not known; use one of {', '.join(FLOW_PAIRS)}")
    if name == "consecutive":
        return tuple((i, i + 1) for i in range(2 * delta))
    supports = [i for i in range(2 * delta + 1) if i != delta]
    if name == "key_to_support":
        return tuple((delta, i) for i in supports)
    return tuple((i, delta) for i in supports)


def reduce_flow(flow: np.ndarray, stride: int) -> np.ndarray:
    """Average a flow [H, W, 2] over stride × stride cells; the vectors keep their unit: float32 [H/s, W/s, 2]."""
    if stride == 1:
        return np.asarray(flow, np.float32)
    height, width = flow.shape[0] // stride, flow.shape[1] // stride
    return cv2.resize(np.asarray(flow, np.float32), (width, height), interpolation=cv2.INTER_AREA)


def dis_flow(crops: np.ndarray, pairs: tuple[tuple[int, int], ...], stride: int = 1) -> np.ndarray:
    """Dense inverse search flow (Kroeger et al., 2016) between crops of one clip, by OpenCV.

    A pair of equal frames, as at the ends of a video where a neighbour is repeated, has flow zero.

    Args:
      crops: uint8 RGB [T, H, W, 3].
      pairs: index pairs (a, b), as `flow_pair_indices` gives them.
      stride: the result is averaged over stride × stride cells; H and W must be multiples of it.

    Returns:
      float32 [len(pairs), H/stride, W/stride, 2], (x, y) in pixels of the full crop whatever the stride: the content of
      pixel p of frame a is at p + flow in frame b.

    Raises:
      ValueError: for crops of another shape or dtype, or a stride that does not divide H and W.
    """
    crops = np.asarray(crops)
    if crops.ndim != 4 or crops.shape[-1] != 3 or crops.dtype != np.uint8:
        raise ValueError(f"crops must be uint8 [T, H, W, 3], not {crops.dtype} {list(crops.shape)}")
    height, width = crops.shape[1:3]
    if height % stride or width % stride:
        raise ValueError(f"stride {stride} does not divide the crop size {height}×{width}")
    # A DIS object keeps buffers and must not be shared between threads; making one costs microseconds. On crops of the
    # embedded data set the preset "fast" is a quarter of "medium"'s time and its endpoint error 5 % lower.
    estimator = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    gray = [cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) for crop in crops]
    flow = np.zeros((len(pairs), height // stride, width // stride, 2), np.float32)
    for i, (a, b) in enumerate(pairs):
        if not np.array_equal(gray[a], gray[b]):
            flow[i] = reduce_flow(estimator.calc(gray[a], gray[b], None), stride)
    return flow
