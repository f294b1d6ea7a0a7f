"""`report.html`: a page on the poses of one video, to find by eye where they go wrong."""

import base64
import pathlib
from typing import Any

import numpy as np

from jmpose_jax.files import write_text
from jmpose_jax.inference.drawing import neck, track_color
from jmpose_jax.inference.outputs.track_statistics import TrackStatistics, track_statistics
from jmpose_jax.pages import asset, data_url, page
from jmpose_jax.records import Predictions

PAGE = "report.html"
EMBEDDED_BYTES = 2 << 20  # an overlay up to this size is within the page, a larger one beside it


def write_page(
    predictions: Predictions,
    path: pathlib.Path,
    overlay: pathlib.Path | None,
    *,
    size: tuple[int, int],
    threshold: float,
) -> None:
    """Write the page: player, identities over time, confidence of joints, jitter; a click jumps to a frame.

    Args:
      predictions: the poses of one video, with times.
      path: of the page.
      overlay: the drawn video, which comes to lie beside the page; None shows the poses alone.
      size: (width, height) of the video.
      threshold: least score of a joint that is sure.
    """
    source = None
    if overlay is not None:
        small = overlay.stat().st_size <= EMBEDDED_BYTES
        source = data_url(overlay, "video/mp4") if small else overlay.name
    tracks = track_statistics(predictions, threshold)
    data = {
        "title": predictions.video,
        "facts": _facts(predictions, len(tracks)),
        "overlay": source,
        "size": list(size),
        "times": _packed(_times(predictions), "<f8"),
        "joints": list(predictions.skeleton.joints),
        "limbs": [list(limb) for limb in predictions.skeleton.limbs],
        "neck": neck(predictions.skeleton),
        "threshold": threshold,
        "tracks": [_track(predictions, track, with_points=overlay is None) for track in tracks],
    }
    content = page(
        f"{predictions.video}: poses",
        asset("video.html"),
        style=asset("video.css"),
        script=asset("video.js"),
        data=data,
    )
    write_text(path, content)


def _times(predictions: Predictions) -> np.ndarray:
    """Seconds of each frame in the overlay; where they are not known, the places of the frames."""
    if predictions.times is None:
        return np.arange(len(predictions.images))
    return predictions.times - predictions.times[:1]  # the overlay begins with the first of them


def _facts(predictions: Predictions, tracks: int) -> list[list[str]]:
    frames, poses = len(predictions.images), len(predictions.image_id)
    times = _times(predictions)
    facts = [["frames", str(frames)]]
    if predictions.numbers is not None and predictions.numbers[:1].any():
        facts.append(["first frame in the video", str(predictions.numbers[0])])
    if predictions.times is not None and frames > 1 and times[-1] > times[0]:
        rate = (frames - 1) / (times[-1] - times[0])
        facts += [["length", f"{times[-1] + 1 / rate:.2f} s"], ["frames/s", f"{rate:.4g}"]]
    facts += [["tracks", str(tracks)], ["poses", str(poses)], ["people a frame", f"{poses / max(frames, 1):.2f}"]]
    return [*facts, ["joints", str(predictions.skeleton.num_joints)]]


def _track(predictions: Predictions, track: TrackStatistics, with_points: bool) -> dict[str, Any]:
    scores = predictions.scores[track.rows]
    content = {
        "id": track.track_id,
        "colour": "#{:02x}{:02x}{:02x}".format(*track_color(track.track_id)),
        "frames": _packed(track.frames, "<u4"),
        "scores": _packed(np.round(255 * np.clip(scores, 0, 1)), "u1"),
        "jitter": _packed(track.jitter, "<f4"),
        "score": float(scores.mean()),
        "acceleration": _mean(track.jitter),
        "relative": _mean(100 * track.relative),
    }
    if with_points:
        points = np.round(np.clip(predictions.keypoints[track.rows], -32_768, 32_767))
        content["points"] = _packed(points, "<i2")
    return content


def _mean(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def _packed(values: np.ndarray, kind: str) -> str:
    """Numbers as the base64 of their bytes: a third of their length as text."""
    return base64.b64encode(np.asarray(values).astype(kind).tobytes()).decode()
