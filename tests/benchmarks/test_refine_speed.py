"""What is timed, and its table."""

import numpy as np

from benchmarks import refine_speed
from jmpose_jax.refinement.filters import Gaussian


def test_gaps_are_there_where_they_are_asked_for():
    poses, valid = refine_speed.sequence(2000, False)
    assert poses.shape == (2000, 17, 2) and valid.all()
    gaps = 1 - refine_speed.sequence(2000, True)[1].mean(axis=0)
    assert (gaps > 0.005).all() and (gaps < 0.1).all()


def test_a_measure_and_its_row(monkeypatch):
    monkeypatch.setattr(refine_speed, "LENGTHS", (300, 3000))
    found = refine_speed.measure(Gaussian())
    assert found["frames_per_second"] > 0 and np.isfinite([found["megabytes_300"], found["megabytes_3000"]]).all()
    rows = {"methods": {"gaussian": found | {"megabytes_10000": 1.0, "megabytes_100000": 1.0}}}
    assert refine_speed.table(rows).splitlines()[-1].startswith("| gaussian | ")
