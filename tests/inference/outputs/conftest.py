"""The poses of two people of COCO's joints in four frames, one of which shows nobody."""

import numpy as np
import pytest

from jmpose_jax.records import Predictions
from jmpose_jax.skeletons import COCO17


@pytest.fixture
def people():
    rng = np.random.default_rng(0)
    images = tuple({"id": 500 + i, "file_name": f"v/{i:06d}.jpg"} for i in range(4))
    return Predictions(
        video="v",
        images=images,
        image_id=np.array([500, 500, 502, 503, 503]),
        keypoints=rng.uniform(-50, 1900, (5, 17, 2)).astype(np.float32),
        scores=rng.random((5, 17)).astype(np.float32),
        boxes=rng.uniform(1, 100, (5, 4)).astype(np.float32),
        track_id=np.array([7, 0, 0, 0, 7]),
        skeleton=COCO17,
        box_scores=np.array([0.9, 0.8, 0.7, 0.6, 0.5], np.float32),
        times=np.array([0.0, 0.04, 0.1, 0.5]),
    )


@pytest.fixture
def nobody(people):
    return Predictions("v", people.images, np.zeros(0, int), np.zeros((0, 17, 2)), np.zeros((0, 17)),
                       np.zeros((0, 4)), np.zeros(0, int), COCO17, np.zeros(0), people.times)  # fmt: skip
