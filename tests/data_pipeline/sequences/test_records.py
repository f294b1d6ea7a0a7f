"""Sequences that do not fit together are refused in one line."""

import numpy as np
import pytest

from data_pipeline.sequences.records import LSP14, PoseSequence, SequenceSet, mirror_pairs
from jmpose_jax.errors import InputError

POSES = np.zeros((4, 14, 3), np.float32)


@pytest.mark.parametrize(
    ("made", "culprit"),
    [
        (lambda: PoseSequence("a", POSES[:3], POSES), r"a: estimated poses are \[3, 14, 3\]"),
        (lambda: PoseSequence("a", POSES[:, :13], POSES), r"\[4, 13, 3\]"),
        (lambda: PoseSequence("a", None, POSES[:0]), "a: poses must be"),
        (lambda: PoseSequence("a", None, POSES, np.ones(3)), "4 frames and 3 boxes"),
        (lambda: SequenceSet((), LSP14, "m", skipped={"of dogs": 3}), "no sequence .left out: 3 of dogs"),
        (lambda: SequenceSet((PoseSequence("a", None, POSES[:, :13]),), LSP14, "m"), "14 joints"),
        (lambda: SequenceSet((PoseSequence("a", None, POSES),) * 2, LSP14, "m"), "two sequences are named a"),
    ],
)
def test_refused(made, culprit):
    with pytest.raises(InputError, match=culprit):
        made()


def test_pairs_by_name():
    assert mirror_pairs(("left_eye", "nose", "right_eye", "left_ear")) == ((0, 2),)
