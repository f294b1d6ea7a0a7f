"""Windows that overlap, and sequences put together from them."""

import numpy as np
import pytest

from data_pipeline.sequences.windows import evaluation_windows, training_windows
from jmpose_jax.errors import InputError


def cut(sequences, table):
    return np.stack([sequences[s][at : at + table.window] for s, at in zip(table.sequence, table.start)])


@pytest.mark.parametrize("tail", ["cover", "drop"])
def test_windows_of_a_sequence_give_it_back(tail):
    sequences = [np.random.default_rng(i).normal(size=(length, 4)) for i, length in enumerate((11, 23, 37))]
    table = evaluation_windows(np.array([11, 23, 37]), 11, 5, tail)
    joined = table.joined(cut(sequences, table))
    lengths = [len(each) for each in joined]
    assert lengths == ([11, 23, 37] if tail == "cover" else [11, 21, 36])
    for found, whole in zip(joined, sequences):
        np.testing.assert_allclose(found, whole[: len(found)], atol=1e-12)


def test_frames_are_means_over_their_windows():
    table = evaluation_windows(np.array([3]), 2, 1)
    np.testing.assert_allclose(table.joined(np.array([[0.0, 2.0], [4.0, 6.0]])[..., None])[0][:, 0], [0, 3, 6])


def test_official_reassembly(shared):
    data = np.load(shared / "data/golden_kinematic/inputs.npz")
    windows, step = data["windows"], int(data["window_step"])
    table = evaluation_windows(np.array([37]), windows.shape[1], step, "drop")
    assert len(table) == len(windows)
    assert table.joined(windows)[0].shape == (36, 30)


def test_short_sequences_have_one_window():
    table = evaluation_windows(np.array([4, 11]), 11, 5)
    assert table.start.tolist() == [0, 0] and len(table.joined(np.zeros((2, 11, 1)))[0]) == 11


def test_windows_to_train_on():
    starts = training_windows(np.array([5, 3]), 3)
    assert list(zip(starts.sequence.tolist(), starts.start.tolist())) == [(0, 0), (0, 1), (0, 2), (1, 0)]
    frames = training_windows(np.array([5, 3]), 3, "frames")
    assert frames.start.tolist() == [0, 1, 2, 0, 1, 0, 0, 0] and frames.sequence.tolist() == [0] * 5 + [1] * 3


@pytest.mark.parametrize(
    ("call", "culprit"),
    [
        (lambda: evaluation_windows(np.array([9]), 3, 4), "step=4"),
        (lambda: evaluation_windows(np.array([9]), 3, 1, "both"), "tail='both'"),
        (lambda: evaluation_windows(np.array([9]), 0, 1), "window=0"),
        (lambda: training_windows(np.array([9]), 3, "all"), "train_windows='all'"),
    ],
)
def test_refused(call, culprit):
    with pytest.raises(InputError, match=culprit):
        call()
