"""The JSON forms: `images` and `annotations` (PoseTrack18, our poses.json), and a list of COCO results."""

import copy
import dataclasses
import itertools
import math
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jmpose_jax.boxes.values import absent, plain
from jmpose_jax.checks import field
from jmpose_jax.errors import InputError
from jmpose_jax.files import write_json
from jmpose_jax.pose_files.records import ADDED, ALONE, LARGEST, PoseFile, Track, frame_grid, make_track
from jmpose_jax.pose_files.values import number_list, triples
from jmpose_jax.skeletons import COCO17, POSETRACK17

LARGEST_FRAME = 10**7  # ids of images from here on are no numbers of frames


def read_annotations(path: pathlib.Path, content: dict[str, Any]) -> PoseFile:
    """`images` and `annotations`; every image counts as one frame, in the order of the ids.

    Where the ids are evenly spaced and small, as in what `jmpose predict` writes, they are the numbers of the frames.

    A joint whose three numbers are 0, or whose score is, is missing. Annotations without keypoints are left alone.

    Raises:
      InputError: naming the entry at fault.
    """
    ids = [field(image, "id", int, f"{path}: images[{i}]") for i, image in enumerate(field_list(path, content))]
    if len(set(ids)) < len(ids):
        raise InputError(f"{path}: two images have one id; ids must be unique")
    place = {image_id: i for i, image_id in enumerate(sorted(ids))}
    videos = {image["vid_id"] for image in content["images"] if isinstance(image.get("vid_id"), (str, int))}
    if len(videos) > 1:
        raise InputError(f"{path}: holds {len(videos)} videos (vid_id); give one file a video")
    entries = field(content, "annotations", list, str(path))
    for i, entry in enumerate(entries):
        where = f"{path}: annotations[{i}]"
        if field(entry, "image_id", int, where) not in place:
            raise InputError(f"{where} names image {entry['image_id']}, which is not among images; correct it")
    frames = np.array([place[entry["image_id"]] for entry in entries], np.int64)
    joints = _category_joints(path, content)
    known = np.array(sorted(ids))
    steps = np.unique(np.diff(known))
    numbered = len(steps) < 2 and 0 <= known[0] < LARGEST_FRAME if len(known) else False
    first, step = (int(known[0]), int(steps[0]) if len(steps) else 1) if numbered else (0, 1)
    file = _pose_file(path, "annotations", content, entries, frames, joints, scored=False, first=first, step=step)
    return file if numbered else dataclasses.replace(file, ids=known)


def field_list(path: pathlib.Path, content: dict[str, Any]) -> list[Any]:
    """The images, each an object."""
    return [image if isinstance(image, dict) else {} for image in field(content, "images", list, str(path))]


def read_results(path: pathlib.Path, content: list[Any]) -> PoseFile:
    """COCO's results: objects with `image_id` and `keypoints` (x, y, score a joint); frames go by the ids of images.

    Raises:
      InputError: naming the entry at fault.
    """
    ids = np.array([field(entry, "image_id", int, f"{path}: [{i}]") for i, entry in enumerate(content)], np.int64)
    frames, first, step = frame_grid(ids)
    return _pose_file(path, "results", content, content, frames, None, scored=True, first=first, step=step)


def write_json_form(file: PoseFile, tracks: Sequence[Track], path: str | os.PathLike) -> None:
    """The file with other poses in its entries, and new entries (`"interpolated": true`) where there was none.

    Args:
      file: as it was read.
      tracks: its tracks, refined.
      path: of the file to write.
    """
    results = file.form == "results"
    entries: list[Any] = list(file.content if results else file.content["annotations"])
    ids = None if results else sorted(image["id"] for image in file.content["images"])
    new_id = _new_ids(entries)
    for before, track in zip(file.tracks, tracks):
        own = track.entries[track.entries != ADDED]
        at = {int(frame): t for t, frame in enumerate(before.frames)}
        for t, (frame, index) in enumerate(zip(track.frames.tolist(), track.entries.tolist())):
            if index != ADDED:
                old = before.poses[at[frame]]
                whole = np.isfinite(number_list(entries[index]["keypoints"], "")).all()
                if not whole or not np.array_equal(old, track.poses[t], equal_nan=True):
                    entries[index] = _changed(entries[index], track, t, ~np.isfinite(old[:, 0]), results)
                continue
            # Beside it in time: an entry before and one behind, since gaps lie between frames of the track.
            behind = int(np.searchsorted(before.frames, frame))
            share = (frame - before.frames[behind - 1]) / (before.frames[behind] - before.frames[behind - 1])
            neighbours = [entries[before.entries[behind - 1]], entries[before.entries[behind]]]
            image_id = file.first + file.step * frame if results else ids[frame]
            entries.append(_added(neighbours, share, image_id, new_id, track, t, results))
        assert len(own) == len(before.entries)  # no pose is lost
    whole = entries if results else {**file.content, "annotations": entries}
    try:
        write_json(path, whole, indent=None)
    except ValueError:  # NaN and infinity, which Python reads though they are no JSON
        write_json(path, _json(whole), indent=None)


def _json(content: Any) -> Any:
    """Content as JSON takes it: what is no number is 0 in lists, where that is what is missing, and null elsewhere."""
    if isinstance(content, dict):
        return {key: None if _no_number(value) else _json(value) for key, value in content.items()}
    if isinstance(content, list):
        return [0 if _no_number(value) else _json(value) for value in content]
    return content


def _no_number(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _pose_file(
    path: pathlib.Path,
    form: str,
    content: Any,
    entries: list[Any],
    frames: np.ndarray,
    joints: tuple[str, ...] | None,
    scored: bool,
    first: int = 0,
    step: int = 1,
) -> PoseFile:
    kind = "annotations" if form == "annotations" else ""
    count = None if joints is None else len(joints)
    of_track: dict[Any, list[int]] = {}
    values, scores, bare = {}, {}, 0
    for i, entry in enumerate(entries):
        where = f"{path}: {kind}[{i}]"
        if absent(entry.get("keypoints")) or entry["keypoints"] == []:
            bare += 1
            continue
        values[i] = triples(entry["keypoints"], count, f"{where}: 'keypoints'")
        count = len(values[i])
        given = None if absent(entry.get("scores")) else number_list(entry["scores"], f"{where}: 'scores'")
        if given is not None and len(given) != count:
            raise InputError(f"{where}: 'scores' has {len(given)} numbers, its keypoints are {count}; correct it")
        scores[i] = values[i][:, 2] if scored else given
        of_track.setdefault(_track_name(entry, where), []).append(i)
    loose = of_track.pop(None, [])
    notes = [f"{bare} entries without keypoints are left as they are"] if bare else []
    if loose and of_track:
        notes.append(f"{len(loose)} poses without a track_id are left as they are")
    elif loose:
        if len(set(frames[loose].tolist())) < len(loose):
            raise InputError(f"{path}: has several poses in an image and no 'track_id'; give each person one")
        of_track[ALONE] = loose
    if not of_track:
        raise InputError(f"{path}: holds no pose; give a file with keypoints")
    tracks = []
    for name, rows in of_track.items():
        points = np.stack([values[i] for i in rows])
        sure = np.full(points.shape[:2], np.nan)
        for t, i in enumerate(rows):
            sure[t] = np.nan if scores[i] is None else scores[i]
        absent_joints = (points == 0).all(axis=-1)
        poses = np.where(absent_joints[..., None], np.nan, points[..., :2])
        tracks.append(make_track(path, str(name), frames[rows], poses, sure, np.array(rows)))
    known = {s.num_joints: s.joints for s in ((POSETRACK17,) if form == "annotations" else (COCO17,))}
    names = joints or known.get(count) or tuple(f"joint_{k}" for k in range(count))
    return PoseFile(path, form, names, 2, tuple(tracks), first, step, None, content, tuple(notes))


def _category_joints(path: pathlib.Path, content: dict[str, Any]) -> tuple[str, ...] | None:
    """The names that the file's one category with keypoints gives to the joints; None without."""
    categories = field(content, "categories", list, str(path), default=[])
    named = [c["keypoints"] for c in categories if isinstance(c, dict) and c.get("keypoints")]
    if len(named) > 1 and any(names != named[0] for names in named):
        raise InputError(f"{path}: several categories name joints; leave that of the poses")
    if not named:
        return None
    names = named[0]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise InputError(f"{path}: the category's 'keypoints' must be names, each once; correct them")
    return tuple(names)


def _track_name(entry: dict[str, Any], where: str) -> Any:
    """The identity that an entry gives, None where it gives none (null, or -1)."""
    name = plain(entry.get("track_id"))
    if isinstance(name, float) and name.is_integer():
        name = int(name)
    if absent(name) or name == -1:
        return None
    if isinstance(name, bool) or not isinstance(name, (int, str)):
        raise InputError(f"{where}: 'track_id' must be a number or a name, found {str(name)[:40]}; correct it")
    return name


def _changed(entry: dict[str, Any], track: Track, t: int, was_missing: np.ndarray, results: bool) -> dict[str, Any]:
    """An entry with the pose of a refined track; the third number of a joint that was there stays."""
    known = np.isfinite(track.poses[t]).all(axis=-1)
    triple = triples(entry["keypoints"], None, "")
    new = known & was_missing
    triple[known, :2] = track.poses[t][known]
    triple[new, 2] = track.scores[t][new] if results else 1
    broken = ~np.isfinite(triple).all(axis=-1)  # no JSON holds a half of a joint
    triple[broken] = 0
    changed = {**entry, "keypoints": _kept(entry["keypoints"], triple.ravel())}
    if not results and not absent(entry.get("scores")):
        sure = number_list(entry["scores"], "")
        sure[new], sure[broken] = track.scores[t][new], 0
        changed["scores"] = _kept(entry["scores"], np.nan_to_num(sure, nan=0.0, posinf=0.0, neginf=0.0))
    return changed


def _kept(before: list[Any], values: np.ndarray) -> list[Any]:
    """Numbers for JSON: each as it stood where it is the same, and whole where it was and is."""
    found = []
    for old, new in zip(before, values.tolist()):
        same = old == new
        found.append(old if same else int(new) if isinstance(old, int) and new.is_integer() else new)
    return found


def _new_ids(entries: list[dict[str, Any]]) -> Callable[[Any], Any]:
    """What gives an id that no entry has, of the kind (number or text) of another's."""
    used = {entry["id"] for entry in entries if isinstance(entry.get("id"), (int, float, str))}
    whole = (n for n in used if isinstance(n, int) or (isinstance(n, float) and n.is_integer()))
    numbers = itertools.count(int(max(whole, default=0)) + 1)

    def new(like: Any) -> Any:
        names = (f"{like}_added_{n}" for n in itertools.count(1)) if isinstance(like, str) else numbers
        found = next(name for name in names if name not in used)
        used.add(found)
        return found

    return new


def _added(
    neighbours: list[dict[str, Any]],
    share: float,
    image_id: int,
    new_id: Callable[[Any], Any],
    track: Track,
    t: int,
    results: bool,
) -> dict[str, Any]:
    """An entry of a frame in which the person was not: its numbers lie between those of the entries beside it."""
    earlier, later = neighbours
    kept = ("category_id", "track_id", "person_id", "track_score", "box_score")
    entry = {name: copy.deepcopy(earlier[name]) for name in kept if name in earlier}
    entry |= {"image_id": image_id, "interpolated": True}
    if "id" in earlier:
        entry["id"] = new_id(earlier["id"])
    for name in ("bbox", "score"):
        sides = [np.array(plain(side.get(name)), object) for side in neighbours]
        numbers = all(type(v) in (int, float) and abs(v) < LARGEST for side in sides for v in side.ravel())
        if numbers and sides[0].shape == sides[1].shape:  # else the entry goes without
            entry[name] = ((1 - share) * sides[0].astype(np.float64) + share * sides[1].astype(np.float64)).tolist()
    empty = {"keypoints": [0] * (3 * len(track.poses[t]))}
    if not results and not absent(earlier.get("scores")):
        empty["scores"] = [0] * len(track.poses[t])
    everywhere = np.ones(len(track.poses[t]), bool)
    return _changed({**entry, **empty}, track, t, everywhere, results)
