"""Average precision of one joint class: precision over recall, area under its monotone envelope."""

import numpy as np

TIE_ORDERS = ("official", "stable")


def precision_recall(
    scores: np.ndarray, correct: np.ndarray, positives: int, ties: str = "official"
) -> tuple[np.ndarray, np.ndarray]:
    """Precision and recall after each prediction, best score first.

    Args:
      scores: float [N].
      correct: bool [N].
      positives: annotated joints.
      ties: the order of equal scores. "official" is that of the official evaluator, `argsort()[::-1]` with NumPy's
        default sort, which depends on the processor; "stable" takes the later entry first, everywhere alike. With
        distinct scores the two agree.

    Returns:
      precision, recall: float64 [N].
    """
    order = np.argsort(scores, kind="stable" if ties == "stable" else None)[::-1]
    hits = np.cumsum(correct[order])
    with np.errstate(divide="ignore", invalid="ignore"):
        return hits / np.arange(1, len(hits) + 1), hits / np.float64(positives)


def area_under_envelope(precision: np.ndarray, recall: np.ndarray) -> float:
    """Σ (r_i - r_{i-1}) max_{k >= i} p_k, in 0..1; 0 without any prediction."""
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * envelope))
