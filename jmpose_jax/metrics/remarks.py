"""What a score rests on that its files do not say: told beside the score, so that nobody takes it for granted."""

from collections.abc import Iterable

from jmpose_jax.metrics.sequence import MISSING_SCORE, Sequence


def remarks(ground_truth: Iterable[Sequence], predictions: Iterable[Sequence]) -> tuple[str, ...]:
    """A line for each assumption that the scoring of some files makes.

    Args:
      ground_truth, predictions: as they were read.

    Returns:
      Lines that name how many files, poses or joints are concerned, and the first file.
    """
    predictions = list(predictions)
    lines = []
    for what, sequences in (("ground truth", list(ground_truth)), ("predictions", predictions)):
        unnamed = [s for s in sequences if s.unnamed_joints]
        if unnamed:
            lines.append(
                f"{len(unnamed)} of {len(sequences)} files of the {what} name no joints ('categories' with "
                f"'keypoints'), such as {unnamed[0].label()}: the order of PoseTrack18 was assumed"
            )
        absent = [int(((s.keypoints == -1).all(axis=2) & s.present).sum()) for s in sequences]
        lines += _counted(
            sequences, absent, "joint", f"of the {what} at (-1, -1), which count; write 0, 0, 0 for absent ones"
        )
    missing = [int((s.present & (s.scores == MISSING_SCORE)).any(axis=1).sum()) for s in predictions]
    lines += _counted(
        predictions,
        missing,
        "pose",
        "without scores, last in the order of AP (they go in a list 'scores'; in PoseTrack17's form to each point)",
    )
    return tuple(lines)


def _counted(sequences: list[Sequence], counts: list[int], what: str, text: str) -> list[str]:
    if not any(counts):
        return []
    first = next(sequence for sequence, count in zip(sequences, counts) if count)
    return [f"{sum(counts)} {what}{'' if sum(counts) == 1 else 's'} {text}; first in {first.label()}"]
