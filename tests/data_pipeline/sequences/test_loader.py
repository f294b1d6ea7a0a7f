"""Batches of windows: the same step sees the same batch; gaps and unknown joints are masks, not numbers."""

import dataclasses

import jax
import numpy as np
import pytest

from data_pipeline.sequences.loader import Split, WindowOptions, cut, evaluation_split, make_loader
from data_pipeline.sequences.noise import NoiseModel
from data_pipeline.sequences.records import LSP14, PoseSequence, SequenceSet
from jmpose_jax.errors import InputError
from jmpose_jax.records import SequenceBatch
from jmpose_jax.refinement.coordinates import Coordinates

ROOT = WindowOptions(window=5, step=2, coordinates=Coordinates("root", (2, 3)))
NOISE = NoiseModel(jitter=0.02, wrong_rate=0.1, wrong_size=0.2, missing_rate=0.05)


def sequences(lengths=(9, 7, 3), dimensions=3, estimated=False):
    rng = np.random.default_rng(0)
    made = []
    for place, length in enumerate(lengths):
        target = rng.normal(size=(length, 14, dimensions)).astype(np.float32)
        poses = target + np.float32(0.1) if estimated else None
        made.append(PoseSequence(f"s{place}", poses, target))
    return SequenceSet(tuple(made), LSP14, "m", (2, 3))


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b)))


def test_shapes_and_types():
    batch = next(make_loader(sequences(), ROOT, 4, train=True, noise=NOISE))
    spec = SequenceBatch.spec(4, 5, 42)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), batch) == jax.tree.map(lambda x: (x.shape, x.dtype), spec)
    assert np.isfinite(batch.poses).all() and np.isfinite(batch.target).all()


def test_the_same_step_sees_the_same_batch():
    loader = make_loader(sequences(), ROOT, 3, train=True, noise=NOISE, seed=7)
    first = [next(loader) for _ in range(4)]
    assert not same(first[0], first[1])
    again = make_loader(sequences(), ROOT, 3, train=True, noise=NOISE, seed=7)
    next(again)
    state = again.get_state()
    assert state["global_next_index"] == 3
    resumed = make_loader(sequences(), ROOT, 3, train=True, noise=NOISE, seed=7)
    resumed.set_state(state)
    assert all(same(next(resumed), batch) for batch in first[1:])
    with pytest.raises(InputError, match="seed=7"):
        make_loader(sequences(), ROOT, 3, train=True, noise=NOISE, seed=8).set_state(state)
    with pytest.raises(InputError, match="windows="):
        make_loader(sequences((9, 7)), ROOT, 3, train=True, noise=NOISE, seed=7).set_state(state)


def test_parts_of_a_batch_make_up_the_batch():
    whole = next(make_loader(sequences(), ROOT, 4, train=True, noise=NOISE))
    parts = [next(make_loader(sequences(), ROOT, 2, train=True, noise=NOISE, share=(i, 2))) for i in range(2)]
    assert same(whole, jax.tree.map(lambda *x: np.concatenate(x), *parts))


def test_an_epoch_has_every_window_once_and_noise_is_drawn_anew():
    loader = make_loader(sequences(), ROOT, 1, train=True, noise=NOISE)
    epochs = [{int(batch.index[0]): batch for batch in (next(loader) for _ in range(len(loader)))} for _ in range(2)]
    assert set(epochs[0]) == set(epochs[1]) == set(range(5 + 3 + 1))
    assert not np.array_equal(epochs[0][0].poses, epochs[1][0].poses)
    np.testing.assert_array_equal(epochs[0][0].target, epochs[1][0].target)


def test_evaluation_goes_through_once_and_is_padded():
    loader = make_loader(sequences(), ROOT, 4, noise=NOISE)
    batches = list(loader)
    assert len(batches) == len(loader) == 2
    valid = np.concatenate([batch.valid for batch in batches]) > 0
    assert np.concatenate([batch.index for batch in batches])[valid].tolist() == list(range(6))
    assert same(batches, list(make_loader(sequences(), ROOT, 4, noise=NOISE, seed=5)))


def test_the_way_back_undoes_coordinates_and_windows():
    for coordinates in (Coordinates("root", (2, 3)), Coordinates("person"), Coordinates("plain")):
        split = evaluation_split(sequences(estimated=True), dataclasses.replace(ROOT, coordinates=coordinates))
        seen = np.stack([split.window(row).poses.reshape(5, -1) for row in range(len(split))])
        for place, poses in enumerate(split.way_back(seen)):
            np.testing.assert_allclose(poses, split.poses(place), atol=1e-5)


def test_gaps_and_unknown_joints_are_masked():
    target = np.random.default_rng(1).normal(size=(5, 14, 3))
    poses = target.copy()
    poses[1, 4], target[2, 6], target[3] = np.nan, np.nan, np.nan
    window = cut(poses, target, 0, ROOT)
    assert window.given.sum() == 5 * 14 - 1 and not window.given[1, 4]
    assert window.known.sum() == 5 * 14 - 1 - 14
    assert np.isfinite(window.poses).all() and (window.target[3] == 0).all()


def test_short_sequences_hold_or_are_zeros():
    target = np.random.default_rng(2).normal(size=(3, 14, 3))
    held = cut(target, target, 0, ROOT)
    np.testing.assert_array_equal(held.poses[3:], held.poses[[2, 2]])
    assert held.known.sum() == 3 * 14
    zeros = cut(target, target, 0, dataclasses.replace(ROOT, padding="zeros"))
    assert not zeros.poses[3:].any() and not zeros.target[3:].any() and zeros.known.all()
    official = evaluation_split(
        SequenceSet((PoseSequence("s", target, target),), LSP14, "m", (2, 3)),
        dataclasses.replace(ROOT, padding="zeros"),
    )
    back = official.way_back(zeros.poses.reshape(1, 5, -1))[0]
    assert len(back) == 5 and np.abs(back[3:]).max() < 1e-12


def test_turned_about_the_vertical():
    upright = dataclasses.replace(ROOT, turn=True)
    loader = make_loader(sequences(), upright, 8, train=True, noise=NoiseModel())
    plain = Split(sequences(), ROOT, True, NoiseModel(), 0)
    batch = next(loader)
    for row, target in zip(batch.index, batch.target.reshape(8, 5, 14, 3)):
        before = plain.window(int(row)).target
        np.testing.assert_allclose(target[..., 1], before[..., 1], atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(target, axis=-1), np.linalg.norm(before, axis=-1), atol=1e-5)
        assert not np.allclose(target, before, atol=1e-3)


@pytest.mark.parametrize(
    ("change", "culprit"),
    [
        ({"padding": "mirror"}, "padding='mirror'"),
        ({"coordinates": Coordinates("image", size=(1, 1))}, "coordinates='image'"),
    ],
)
def test_refused_options(change, culprit):
    with pytest.raises(InputError, match=culprit):
        make_loader(sequences(), dataclasses.replace(ROOT, **change), 1, noise=NOISE)


def test_refused_otherwise():
    with pytest.raises(InputError, match="batch_size=0"):
        make_loader(sequences(), ROOT, 0, noise=NOISE)
    with pytest.raises(InputError, match="seed=-1"):
        make_loader(sequences(), ROOT, 1, noise=NOISE, seed=-1)
    with pytest.raises(InputError, match="no estimates"):
        make_loader(sequences(), ROOT, 1)
    with pytest.raises(InputError, match="turn=True"):
        make_loader(
            sequences(dimensions=2), WindowOptions(5, 1, Coordinates("person"), turn=True), 1, noise=NOISE, train=True
        )
