"""Videos that show the number of each frame, in any form that FFmpeg writes."""

from fractions import Fraction

import av
import numpy as np
import pytest

from jmpose_jax.inference.predictor import Predictor
from jmpose_jax.inference.video.reader import VideoWriter
from tests.inference.walk import SIZE as WALK_SIZE
from tests.inference.walk import frames, middle

BITS = 6
SIZE = (96, 64)


def numbered(i, size=SIZE):
    """A picture with the bits of i as bright and dark bars."""
    image = np.full((size[1], size[0], 3), 128, np.uint8)
    width = size[0] // BITS
    for bit in range(BITS):
        image[:, bit * width : (bit + 1) * width] = 235 if i >> bit & 1 else 20
    return image


def number(image):
    """The number that a picture shows."""
    width = image.shape[1] // BITS
    means = [image[:, bit * width + 2 : (bit + 1) * width - 2].mean() for bit in range(BITS)]
    return sum(int(mean > 128) << bit for bit, mean in enumerate(means))


@pytest.fixture
def make_video(tmp_path):
    """Function that writes frames 0, 1, … to a file of tmp_path and returns its path.

    `times` are ticks of `time_base`; `gop` is the distance of keyframes, `bframes` the number between two others.
    """

    def make(
        name,
        count=20,
        *,
        codec="libx264",
        size=SIZE,
        rate=30,
        pixels="yuv420p",
        gop=5,
        bframes=0,
        times=None,
        time_base=None,
        options=None,
        first=0,
    ):
        path = tmp_path / name
        # Short clusters, as of long videos: after a fault, Matroska is read on from the next one.
        short = {"cluster_time_limit": "100"} if path.suffix == ".mkv" else {}
        with av.open(str(path), "w", options=short) as container:
            stream = container.add_stream(codec, rate=Fraction(rate), options=options or {})
            stream.width, stream.height = size
            stream.pix_fmt = pixels
            context = stream.codec_context
            context.max_b_frames, context.gop_size = bframes, gop
            if time_base:
                context.time_base = time_base
            for i in range(count):
                picture = av.VideoFrame.from_ndarray(numbered(first + i, size), format="rgb24")
                if times:
                    picture.pts, picture.time_base = times[i], time_base
                for packet in stream.encode(picture):
                    container.mux(packet)
            for packet in stream.encode(None):
                container.mux(packet)
        return path

    return make


@pytest.fixture
def shown():
    """Function from pictures to the numbers that they show."""
    return lambda images: [number(image) for image in images]


@pytest.fixture
def predictor():
    """Finds the middle of every box; see `walk`."""
    return Predictor(middle, {}, input_size=(64, 48), delta=2, flow_source="none", batch_size=4)


@pytest.fixture
def video(tmp_path):
    """Eleven frames of the walk."""
    with VideoWriter(tmp_path / "walk.mp4", 10, WALK_SIZE) as writer:
        for frame in frames(11):
            writer.write(frame)
    return tmp_path / "walk.mp4"
