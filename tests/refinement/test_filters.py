"""Filters: their equations, gaps that they keep apart, units that they do not care about."""

import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d
from scipy.signal import savgol_filter

from jmpose_jax.errors import InputError
from jmpose_jax.refinement.coordinates import body_size
from jmpose_jax.refinement.filters import METHODS, Gaussian, OneEuro, SavitzkyGolay, make_filter
from jmpose_jax.refinement.jitter import accelerations

FPS = 30.0


def noisy(frames=120, joints=4, dimensions=2, noise=2.0, seed=0):
    rng = np.random.default_rng(seed)
    time = np.arange(frames)[:, None, None] / FPS
    base = rng.uniform(0, 200, (joints, dimensions))
    path = base + 40 * np.sin(2 * time + base)
    return path, path + noise * rng.normal(size=path.shape)


def everywhere(poses):
    return np.ones(poses.shape[:2], bool)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("dimensions", (2, 3))
def test_jitter_falls_and_the_truth_is_nearer(name, dimensions):
    truth, poses = noisy(dimensions=dimensions)
    found = METHODS[name]()(poses, everywhere(poses), FPS)
    assert found.shape == poses.shape
    before, after = (np.nanmean(accelerations(p, everywhere(p))) for p in (poses, found))
    assert after < before / 2
    assert np.abs(found - truth).mean() < np.abs(poses - truth).mean()


@pytest.mark.parametrize("name", METHODS)
def test_a_gap_parts_two_stretches(name):
    _, poses = noisy(60)
    valid = everywhere(poses)
    valid[20:30, 1] = False
    poses[20:30, 1] = 1e9  # is not read
    method = METHODS[name]() if name != "one_euro" else OneEuro(beta=0)  # whose speed is in sizes of what is seen
    found = method(np.where(valid[..., None], poses, np.nan), valid, FPS)
    assert np.isnan(found[20:30, 1]).all() and np.isfinite(found[valid]).all()
    alone = method(poses[30:, 1:2], np.ones((30, 1), bool), FPS)
    np.testing.assert_allclose(found[30:, 1:2], alone, atol=1e-9)


def test_one_euro_by_the_papers_steps():
    """Algorithms 1 and 2 of the paper, one coordinate at a time, in plain numbers."""
    poses = noisy(40, joints=1, dimensions=1)[1]
    method = OneEuro(min_cutoff=1.5, beta=0.3, derivative_cutoff=0.8)

    def alpha(cutoff):
        tau, period = 1 / (2 * math.pi * cutoff), 1 / FPS
        return 1 / (1 + tau / period)

    values, expected, x, dx = poses.ravel().tolist(), [], None, 0.0
    for value in values:
        if x is None:
            x = value
        else:
            dx = alpha(0.8) * (value - x) * FPS + (1 - alpha(0.8)) * dx
            a = alpha(1.5 + 0.3 * abs(dx))
            x = a * value + (1 - a) * x
        expected.append(x)
    found = method(poses, everywhere(poses), FPS)  # a single joint has no size: its unit is the size
    np.testing.assert_allclose(found.ravel(), expected, rtol=1e-12)


def test_savgol_and_gaussian_are_scipys():
    _, poses = noisy(50)
    found = SavitzkyGolay(7, 3)(poses, everywhere(poses))
    np.testing.assert_allclose(found, savgol_filter(poses, 7, 3, axis=0), atol=1e-9)
    found = Gaussian(1.5)(poses, everywhere(poses))
    inner = slice(8, -8)
    np.testing.assert_allclose(found[inner], gaussian_filter1d(poses, 1.5, axis=0)[inner], atol=1e-9)


def test_a_steady_motion_stays_what_it_is_up_to_its_ends():
    line = np.arange(30.0)[:, None, None] * np.array([2.0, -1.0]) + np.array([5.0, 9.0])
    for method in (SavitzkyGolay(), Gaussian()):
        np.testing.assert_allclose(method(line, everywhere(line)), line, atol=1e-9)


@pytest.mark.parametrize("order", (2, 3, 5))
@pytest.mark.parametrize("window", (None, 31, 301))
def test_a_line_stays_a_line_at_any_order_and_window(order, window):
    line = np.linspace(100, 200, 1201)[:, None, None] * np.ones((1, 2, 2))
    np.testing.assert_allclose(SavitzkyGolay(window, order)(line, everywhere(line)), line, atol=1e-5)


def test_a_polynomial_stays_at_its_order():
    time = np.linspace(-1, 1, 400)[:, None, None]
    curve = np.concatenate([time**4 - time, 3 * time**5], axis=2)
    np.testing.assert_allclose(SavitzkyGolay(101, 5)(curve, everywhere(curve)), curve, atol=1e-7)


def test_a_window_of_one_frame_changes_nothing():
    _, poses = noisy(9)
    np.testing.assert_array_equal(SavitzkyGolay(1, 0)(poses, everywhere(poses)), poses)


@pytest.mark.parametrize("sigma", (1e-200, 0.1))
def test_a_narrow_gaussian_changes_nothing(sigma):
    _, poses = noisy(9)
    np.testing.assert_array_equal(Gaussian(sigma)(poses, everywhere(poses)), poses)


def test_rates_that_widen_the_gaussian_beyond_all_frames():
    _, poses = noisy(9)
    with pytest.raises(InputError, match="sigma=50000 frames, 0.05 s at 1e"):
        Gaussian()(poses, everywhere(poses), 1e6)
    with pytest.raises(InputError, match="window=601 frames, 0.3 s at 2000"):
        SavitzkyGolay()(poses, everywhere(poses), 2000.0)


@pytest.mark.parametrize("name", METHODS)
def test_units_do_not_matter(name):
    _, poses = noisy()
    method = METHODS[name]()
    metres = method(poses / 1000, everywhere(poses), FPS)
    np.testing.assert_allclose(metres * 1000, method(poses, everywhere(poses), FPS), atol=1e-6)


def test_widths_by_default_are_of_seconds():
    assert [SavitzkyGolay().frames(fps) for fps in (5, 25, 30, 60, 120)] == [5, 7, 9, 17, 37]
    assert SavitzkyGolay().frames(None) == SavitzkyGolay().frames(math.nan) == 9
    assert SavitzkyGolay(order=3).frames(5) == 5 and SavitzkyGolay(window=3, order=1).frames(100) == 3
    _, poses = noisy(50)
    for fps, sigma in ((None, 1.5), (60, 3.0)):
        found = Gaussian()(poses, everywhere(poses), fps)
        np.testing.assert_array_equal(found, Gaussian(sigma)(poses, everywhere(poses)))


@pytest.mark.parametrize("frames", (2, 3, 4, 8))
@pytest.mark.parametrize("name", METHODS)
def test_short_stretches(name, frames):
    _, poses = noisy(frames)
    found = METHODS[name]()(poses, everywhere(poses), FPS)
    assert np.isfinite(found).all()
    if name == "savgol" and frames == 2:  # no parabola is fitted to two points
        np.testing.assert_array_equal(found, poses)


def test_still_poses_stay_still():
    poses = np.tile(np.random.default_rng(0).uniform(0, 99, (1, 5, 2)), (40, 1, 1))
    for name in METHODS:
        np.testing.assert_allclose(METHODS[name]()(poses, everywhere(poses), FPS), poses, atol=1e-9)


def test_body_size():
    poses = np.array([[[0.0, 0], [3, 4]], [[0, 0], [6, 8]], [[0, 0], [60, 80]]])
    assert body_size(poses, everywhere(poses)) == 10
    assert body_size(poses, np.eye(3, 2, dtype=bool)) == 1 and body_size(poses[:, :1], np.ones((3, 1), bool)) == 1


@pytest.mark.parametrize(
    "name, options, culprit",
    [
        ("median", {}, "median"),
        ("savgol", {"window": 8}, "window=8"),
        ("savgol", {"window": 3, "order": 3}, "window=3"),
        ("savgol", {"order": 6}, "order=6: must be at most 5"),
        ("savgol", {"window": 303}, "window=303: must be at most 301"),
        ("gaussian", {"sigma": 0.0}, "sigma=0"),
        ("gaussian", {"sigma": 1e9}, "sigma=1000000000.0: must be at most 1000"),
        ("one_euro", {"min_cutoff": math.nan}, "min_cutoff=nan"),
        ("one_euro", {"beta": -1.0}, "beta=-1"),
        ("one_euro", {"sigma": 2.0}, "sigma=2"),
    ],
)
def test_options_at_fault(name, options, culprit):
    with pytest.raises(InputError, match=culprit):
        make_filter(name, **options)


def test_options_left_out_are_the_defaults():
    assert make_filter("gaussian", sigma=None, window=None) == Gaussian()
