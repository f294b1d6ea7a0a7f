"""The PoseTrack scores of a folder of result files: as the content of `evaluation.json`, table and page."""

import pathlib
from collections.abc import Mapping
from typing import Any

from experiments.evaluation.page import write_page
from jmpose_jax import checks
from jmpose_jax.errors import InputError
from jmpose_jax.files import finite_or_none
from jmpose_jax.metrics import posetrack
from jmpose_jax.metrics.crowd import choose_frames, write_subset

NOT_ANNOTATED = "no joint of the group is annotated"
NOT_TRACKED = "no joint of the group is annotated in two frames of a video"
NO_TRACKS = "no video has two labelled frames"
SHOWN = 3  # names of files in a message


def check_truth(annotations: pathlib.Path, crowd_index: float | None = None, unannotated: bool = False) -> bool:
    """Read the ground truth as the scoring will, so that its faults come before a model is run.

    Args:
      annotations: folder of the ground truth.
      crowd_index: as in `measure`.
      unannotated: accept files without annotations, as test splits are published.

    Returns:
      Whether any joint is annotated.

    Raises:
      InputError: it cannot be scored against.
    """
    annotated = any(sequence.present.any() for sequence in posetrack.read_truth(annotations, unannotated))
    if not annotated and not unannotated:
        raise InputError(f"{annotations}: holds no annotated joint; is it the split with published annotations?")
    if crowd_index is not None and annotated:
        choose_frames(annotations, crowd_index)
    return annotated


def measure(
    annotations: pathlib.Path,
    predictions: pathlib.Path,
    crowd_index: float | None = None,
    subset: pathlib.Path | None = None,
) -> dict[str, Any]:
    """Score result files.

    Args:
      annotations: folder of the ground truth.
      predictions: folder of the result files.
      crowd_index: score the frames of at least this CrowdIndex as well.
      subset: folder that gets the list of these frames.

    Returns:
      Part of `evaluation.json`: `boxes`, `ap` and `mota` by joint group in percent (None where there is none, with the
      reason under `absent`), `mean`, `sequences`, `frames`, `unused_predictions`, `remarks`, and `challenging` where
      asked for.

    Raises:
      InputError: as `metrics.posetrack.evaluate`.
    """
    boxes = _box_sources(predictions, [path.name for path in sorted(annotations.glob("*.json"))])
    found = posetrack.evaluate(annotations, predictions)
    ap, absent = without_nan("ap", found.ap, NOT_ANNOTATED)
    mota, more = without_nan("mota", found.mota, NOT_TRACKED, NO_TRACKS)
    absent |= more
    result = {
        "boxes": boxes,
        "ap": ap,
        "mota": mota,
        "mean": ap["Total"],
        "sequences": found.sequences,
        "frames": found.frames,
        "unused_predictions": list(found.unused_predictions),
        "remarks": list(found.remarks),
    }
    if crowd_index is not None:
        frames = write_subset(annotations, subset, crowd_index)
        crowded, more = without_nan(
            "challenging", posetrack.evaluate(subset / "annotations", predictions).ap, NOT_ANNOTATED
        )
        absent |= more
        result["challenging"] = {
            "crowd_index_at_least": crowd_index,
            "frames": len(frames),
            "ap": crowded,
            "mean": crowded["Total"],
        }
    return result | ({"absent": absent} if absent else {})


def without_nan(
    name: str, values: Mapping[str, float], reason: str, all_absent: str | None = None
) -> tuple[dict[str, float | None], dict[str, str]]:
    """JSON has no NaN: the values with None in its place, and why.

    Args:
      name: of the values.
      values: column -> number.
      reason: why one of them is absent.
      all_absent: why all of them are; `reason` by default.

    Returns:
      The values, and {name, or "name/column": reason} of those that are absent.
    """
    kept = finite_or_none(values)
    lacking = [column for column, value in kept.items() if value is None]
    if len(lacking) == len(kept):
        return kept, {name: all_absent or reason}
    return kept, {f"{name}/{column}": reason for column in lacking}


def _box_sources(predictions: pathlib.Path, names: list[str]) -> str:
    """Where the boxes of the result files that are scored came from, as they say; "unknown" where one does not.

    Files that cannot be read are left to the scoring, which says what is wrong with the folder too.
    """
    sources = set()
    for path in (predictions / name for name in names):
        content = checks.read_json(path) if path.is_file() else None
        if isinstance(content, dict):
            sources.add(checks.field(content, "box_source", str, str(path), "unknown"))
    return ", ".join(sorted(sources))


def table(result: Mapping[str, Any]) -> str:
    """The scores for people: AP and MOTA in percent by joint group, and what they are of."""
    columns, rows = list(result["ap"]), _rows(result)
    width = max(map(len, rows)) + 2
    lines = [_caption(result), " " * width + "".join(column.rjust(8) for column in columns)]
    for name, values in rows.items():
        lines.append(name.ljust(width) + "".join(_percent(values[column]).rjust(8) for column in columns))
    return "\n".join(lines + _notes(result))


def write_scores_page(result: Mapping[str, Any], path: pathlib.Path) -> None:
    """Write what `table` says as a page."""
    write_page(path, _caption(result), _rows(result), list(result["ap"]), 2, _notes(result), result)


def _rows(result: Mapping[str, Any]) -> dict[str, Mapping[str, float | None]]:
    rows = {"AP": result["ap"], "MOTA": result["mota"]}
    if "challenging" in result:
        rows["AP, crowded"] = result["challenging"]["ap"]
    return rows


def _caption(result: Mapping[str, Any]) -> str:
    what = f"split {result['split']}" if result.get("split") else str(result.get("ground_truth", "ground truth"))
    return (
        f"percent, on {what}: {_count(result['sequences'], 'video')}, {_count(result['frames'], 'labelled frame')}; "
        f"boxes: {result['boxes']}"
    )


def _notes(result: Mapping[str, Any]) -> list[str]:
    lines = []
    if "challenging" in result:
        crowded = result["challenging"]
        lines.append(
            f"crowded: {_count(crowded['frames'], 'frame')} of CrowdIndex {crowded['crowd_index_at_least']:g} or more"
        )
    lines += [f"no {_named(name)}: {reason}" for name, reason in _short_reasons(result)]
    lines += [f"note: {remark}" for remark in result.get("remarks", ())]
    if unused := result["unused_predictions"]:
        more = f" and {len(unused) - SHOWN} more" if len(unused) > SHOWN else ""
        lines.append(
            f"not scored, for there is no ground truth of that name: {_count(len(unused), 'file')} "
            f"({', '.join(unused[:SHOWN])}{more})"
        )
    return lines


def _short_reasons(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The reasons of what is absent; that a group lacks its MOTA where it has no AP goes without saying."""
    absent = result.get("absent", {})
    return [
        (name, reason)
        for name, reason in absent.items()
        if not (name.startswith("mota/") and f"ap/{name.split('/')[1]}" in absent)
    ]


def _named(name: str) -> str:
    """What `absent` calls a figure, in words: "ap/Ankl" is the AP of Ankl."""
    measure, _, column = name.partition("/")
    return f"{measure.upper() if measure in ('ap', 'mota') else measure}{f' of {column}' if column else ''}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
