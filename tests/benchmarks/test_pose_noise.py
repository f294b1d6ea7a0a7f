"""The noise benchmark on a made estimator: its numbers, and those of what the model draws."""

import numpy as np
import pytest

from benchmarks.pose_noise import measure
from data_pipeline.sequences.noise import NoiseModel
from data_pipeline.sequences.records import LSP14, PoseSequence, SequenceSet, mirror_pairs
from jmpose_jax.refinement.coordinates import body_size


def test_the_model_stands_for_the_estimator():
    rng, truth = np.random.default_rng(0), NoiseModel(jitter=0.01, bias=0.01, memory=0.6)
    sequences = []
    for place in range(4):
        target = np.repeat(rng.uniform(0, 100, (1, 14, 2)), 150, axis=0).astype(np.float32)
        poses = truth.estimate(target, body_size(target, np.ones((150, 14), bool)), mirror_pairs(LSP14), rng)
        target[:, 3] = np.nan
        sequences.append(PoseSequence(str(place), poses, target))
    result = measure(SequenceSet(tuple(sequences), LSP14, "px"))
    assert result["noise"]["jitter"] == pytest.approx(0.01, rel=0.15) and result["frames"] == 600
    real, drawn = result["scores"].values()
    assert drawn["MPJPE"] == pytest.approx(real["MPJPE"], rel=0.1)
    assert drawn["Accel"] == pytest.approx(real["Accel"], rel=0.1)
