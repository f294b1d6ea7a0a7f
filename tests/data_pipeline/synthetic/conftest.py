"""Rendered videos that several tests look at."""

import numpy as np
import pytest

from data_pipeline.synthetic.config import SyntheticConfig
from data_pipeline.synthetic.render import render_video, video_rng


@pytest.fixture(scope="session")
def clean_config():
    """No blur, noise or shadows: what the exact flow describes to the grey level."""
    return SyntheticConfig(effects=False, shadows=False, people=(0.3, 0.4, 0.3), occluder_probability=1.0)


@pytest.fixture(scope="session")
def clean_videos(clean_config):
    return [render_video(video_rng(3, "train", index), clean_config) for index in range(6)]


@pytest.fixture(scope="session")
def default_videos():
    return [render_video(video_rng(1, "train", index), SyntheticConfig()) for index in range(14)]


@pytest.fixture
def rng():
    return np.random.default_rng(0)
