"""Between tracks and `records.Predictions`: what `predict` refines, and what result files of other forms hold."""

import dataclasses
import re

import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.pose_files.records import ADDED, PoseFile, Track, make_track
from jmpose_jax.records import Predictions
from jmpose_jax.skeletons import SKELETONS, Skeleton

IDENTITY = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)  # names that are numbers, each of which has one
FULL_LISTS = 1_000_000  # frames up to which those without anybody are listed too


def tracks_of(predictions: Predictions) -> tuple[Track, ...]:
    """The tracks of one video; frames are places among its images, entries rows of the record.

    Raises:
      InputError: an identity occurs twice in a frame.
    """
    frames = predictions.frame
    tracks = []
    for identity in np.unique(predictions.track_id).tolist():
        rows = np.flatnonzero(predictions.track_id == identity)
        poses, scores = (np.asarray(v[rows], np.float64) for v in (predictions.keypoints, predictions.scores))
        tracks.append(make_track(f"video {predictions.video}", str(identity), frames[rows], poses, scores, rows))
    return tuple(tracks)


def with_tracks(predictions: Predictions, tracks: tuple[Track, ...]) -> Predictions:
    """The record with the poses of refined tracks.

    A person who was added lies in a box between those in time beside it, with the lesser of their scores. Rows are
    ordered by frame and, within it, as they were; added ones are last.

    Args:
      predictions: N poses.
      tracks: those of `tracks_of`, refined.
    """
    keypoints, scores = predictions.keypoints.copy(), predictions.scores.copy()
    if predictions.interpolated is None:
        predictions = dataclasses.replace(predictions, interpolated=np.zeros(len(predictions.track_id), bool))
    single = ("image_id", "keypoints", "scores", "boxes", "track_id", "box_scores", "track_score", "interpolated")
    added: dict[str, list] = {name: [] for name in single}
    places: list[int] = []
    for track in tracks:
        own = track.entries != ADDED
        rows, known = track.entries[own], track.valid[own]
        keypoints[rows] = np.where(known[..., None], track.poses[own], keypoints[rows])
        scores[rows] = np.where(known, track.scores[own], scores[rows])
        at = track.frames[own]
        for t in np.flatnonzero(~own):
            behind = int(np.searchsorted(at, track.frames[t]))
            earlier, later = rows[behind - 1], rows[behind]
            share = (track.frames[t] - at[behind - 1]) / (at[behind] - at[behind - 1])
            point = np.nan_to_num(track.poses[t])
            sure = np.where(track.valid[t], track.scores[t], 0)
            values = {
                "image_id": predictions.images[track.frames[t]]["id"],
                "keypoints": point,
                "scores": sure,
                "boxes": (1 - share) * predictions.boxes[earlier] + share * predictions.boxes[later],
                "track_id": predictions.track_id[earlier],
                "interpolated": True,
            }
            for name in ("box_scores", "track_score"):
                column = getattr(predictions, name)
                values[name] = None if column is None else min(column[earlier], column[later])
            for name, value in values.items():
                added[name].append(value)
            places.append(int(track.frames[t]))
    changed = {"keypoints": keypoints, "scores": scores}
    columns = {name: changed.get(name, getattr(predictions, name)) for name in single}
    if places:
        order = np.argsort(np.concatenate([predictions.frame, places]), kind="stable")
        columns = {
            name: None if column is None else np.concatenate([column, np.array(added[name], column.dtype)])[order]
            for name, column in columns.items()
        }
    return dataclasses.replace(predictions, **columns)


def to_predictions(file: PoseFile, tracks: tuple[Track, ...], fps: float | None = None) -> Predictions:
    """Tracks of a file as a record, for result files of other forms.

    Boxes are those around the joints that are there; a joint that is missing is 0, 0 with a score of 0, and one whose
    file knows no scores has 1. Identities that are no numbers are numbered.

    Args:
      file: of two dimensions.
      tracks: of it, or refined ones.
      fps: frames of its grid a second, None where that is not known.

    Raises:
      InputError: the poses have three dimensions.
    """
    if file.dimensions != 2:
        raise InputError(f"{file.path}: its poses have {file.dimensions} dimensions, and these forms hold 2")
    last = max((int(track.frames[-1]) for track in tracks if len(track.frames)), default=-1)
    shown = {int(frame) for track in tracks for frame in track.frames.tolist()}
    frames = list(range(last + 1)) if last < FULL_LISTS else sorted(shown)
    numbers = [file.first + file.step * frame for frame in frames]
    images = [{"id": number, "file_name": f"{number:08d}"} for number in numbers]
    if file.form == "annotations":
        listed = sorted(file.content["images"], key=lambda image: image["id"])
        images, numbers, frames = listed, [file.first + file.step * i for i in range(len(listed))], range(len(listed))
    place = {frame: i for i, frame in enumerate(frames)}
    digits = all(IDENTITY.fullmatch(track.name) for track in tracks)
    rows = [
        (place[frame], n, t, int(track.name) if digits else n)
        for n, track in enumerate(tracks)
        for t, frame in enumerate(track.frames.tolist())
        if track.valid[t].any()
    ]
    rows.sort()
    count = len(file.joints)
    poses = np.array([tracks[n].poses[t] for _, n, t, _ in rows]).reshape(-1, count, 2)
    scores = np.array([tracks[n].scores[t] for _, n, t, _ in rows]).reshape(-1, count)
    valid = np.isfinite(poses).all(axis=-1)
    low = np.where(valid[..., None], poses, np.inf).min(axis=1)
    high = np.where(valid[..., None], poses, -np.inf).max(axis=1)
    known = next((s for s in SKELETONS.values() if s.joints == file.joints), None)
    return Predictions(
        video=file.path.stem,
        images=tuple(images),
        image_id=np.array([images[i]["id"] for i, *_ in rows], np.int64),
        keypoints=np.where(valid[..., None], poses, 0).astype(np.float32),
        scores=np.where(valid, np.where(np.isnan(scores), 1, scores), 0).astype(np.float32),
        boxes=np.concatenate([low, high - low], axis=1).reshape(-1, 4).astype(np.float32),
        track_id=np.array([identity for *_, identity in rows], np.int64),
        skeleton=known or Skeleton("file", file.joints, (), (), ()),
        times=np.arange(len(images)) / fps if fps and last < FULL_LISTS else None,
        numbers=np.array(numbers, np.int64),
    )
