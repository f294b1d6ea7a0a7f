"""Where the renderer puts the exact flow of its videos, one .flo file a pair of frames."""

import pathlib

import numpy as np

from data_pipeline.formats.schema import FLOW_FEATURES
from data_pipeline.synthetic.flow import read_flo


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
