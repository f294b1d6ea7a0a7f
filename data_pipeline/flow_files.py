"""Middlebury .flo files, and where the renderer puts the exact flow of its videos."""

import pathlib

import numpy as np

from data_pipeline.schema import FLOW_FEATURES
from jmpose_jax.errors import InputError

MAGIC = np.float32(202021.25)
MAX_SIDE = 65536


def read_flo(path: pathlib.Path) -> np.ndarray:
    """A flow file.

    Args:
      path: the .flo file.

    Returns:
      float32 [h, w, 2], (x, y).

    Raises:
      InputError: where the file is no .flo file or cut off.
    """
    data = path.read_bytes()
    if len(data) < 12 or np.frombuffer(data, "<f4", 1)[0] != MAGIC:
        raise InputError(f"{path}: not a .flo file; write the flow of the data set again")
    width, height = (int(v) for v in np.frombuffer(data, "<i4", 2, offset=4))
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE) or len(data) != 12 + 8 * width * height:
        raise InputError(f"{path}: cut off or damaged; write the flow of the data set again")
    return np.frombuffer(data, "<f4", offset=12).reshape(height, width, 2).astype(np.float32)


def write_flo(path: pathlib.Path, flow: np.ndarray) -> None:
    """Write a flow float [h, w, 2] as a .flo file."""
    height, width = flow.shape[:2]
    header = MAGIC.astype("<f4").tobytes() + np.asarray([width, height], "<i4").tobytes()
    path.write_bytes(header + np.ascontiguousarray(flow, "<f4").tobytes())


def flow_folder(source: pathlib.Path, split: str) -> pathlib.Path:
    """Where the flow of a split lies, one folder a video."""
    return source / "flow" / split


def flow_name(start: int, end: int) -> str:
    """File name of the flow from frame number `start` to frame number `end`."""
    return f"{start:06d}_{end:06d}.flo"


def read_frame_flow(folder: pathlib.Path, number: int) -> dict[int, np.ndarray]:
    """All flows that start at a frame: distance in time to float32 [h, w, 2]; those without a file are absent."""
    flows = {}
    for distance in FLOW_FEATURES:
        path = folder / flow_name(number, number + distance)
        if path.is_file():
            flows[distance] = read_flo(path)
    return flows
