"""PoseTrack annotation and result files, both forms, as sequences.

PoseTrack18 and 21 files hold `images`, `annotations` and `categories`; PoseTrack17 files hold an `annolist` in which
every leaf is wrapped in a list of one. A joint of the 18 form is absent where x = y = visibility = 0; in the 17 form it
is simply not listed. The visibility flag has no other meaning to the official evaluator.
"""

import dataclasses
import json
import pathlib

import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.metrics.sequence import MISSING_SCORE, Sequence
from jmpose_jax.skeletons import POSETRACK15, POSETRACK17

HEAD_SIZE_FACTOR = 0.6  # of the head box's diagonal, as MPII and PoseTrack define it


def read_sequence(path: str | pathlib.Path, ground_truth: bool = False) -> Sequence:
    """Read one video's file of either form.

    Args:
      path: the JSON file.
      ground_truth: demand a head box of every person with joints, and number the persons of a frame; else the numbers
        are those of the key `person_index`, -1 without it.

    Raises:
      InputError: naming the file, and the annotation where one is at fault.
    """
    path = pathlib.Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({error}); is the file complete?") from error
    if not isinstance(content, dict) or not ("annolist" in content or "images" in content):
        raise InputError(f"{path}: neither PoseTrack17 form (annolist) nor PoseTrack18 form (images, annotations)")
    try:
        sequence = _read_17(path, content) if "annolist" in content else _read_18(path, content)
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise InputError(f"{path}: malformed annotation ({type(error).__name__}: {error})") from error
    except ValueError as error:
        raise InputError(f"{path}: a value that is no number ({error})") from error
    if not np.isfinite(sequence.keypoints[sequence.present]).all():
        raise InputError(f"{path}: a joint has a coordinate that is not finite")
    if ground_truth:
        without = np.isnan(sequence.head_sizes) & sequence.present.any(axis=1)
        if without.any():
            image_id = sequence.image_ids[sequence.frame[np.argmax(without)]]
            raise InputError(f"{path}: a person of image {image_id} has no head box; ground truth needs bbox_head")
        return dataclasses.replace(sequence, person_index=_position_in_frame(sequence.frame))
    return sequence


def _read_18(path: pathlib.Path, content: dict) -> Sequence:
    images = content["images"]
    annotations = content.get("annotations", [])
    image_ids = np.array([image["id"] for image in images], np.int64)
    place = {image_id: i for i, image_id in enumerate(image_ids.tolist())}
    if len(place) != len(images):
        raise InputError(f"{path}: an image id occurs twice")
    slots, width = _joint_slots(path, content)

    count = len(annotations)
    frame = np.empty(count, np.int64)
    scores = np.full((count, 15), MISSING_SCORE)
    head_sizes = np.full(count, np.nan)
    for i, annotation in enumerate(annotations):
        if annotation["image_id"] not in place:
            raise InputError(f"{path}: an annotation names image {annotation['image_id']}, which is not among images")
        frame[i] = place[annotation["image_id"]]
        if len(annotation["keypoints"]) != 3 * width:
            raise InputError(
                f"{path}: image {annotation['image_id']} has a person with {len(annotation['keypoints'])} keypoint "
                f"numbers; {3 * width} are needed ({width} joints × x, y, visibility)"
            )
        if annotation.get("scores"):
            if len(annotation["scores"]) != width:
                raise InputError(
                    f"{path}: image {annotation['image_id']} has {len(annotation['scores'])} scores; {width} are needed"
                )
            scores[i] = [annotation["scores"][slot] for slot in slots]
        head = annotation.get("bbox_head")
        if head:
            head_sizes[i] = HEAD_SIZE_FACTOR * float(np.hypot(head[2], head[3]))
    keypoints = np.array([a["keypoints"] for a in annotations], np.float64).reshape(count, width, 3)[:, slots]
    tracks = [annotation.get("track_id") for annotation in annotations]
    return _assemble(
        path,
        image_ids=image_ids,
        labelled=np.isin(np.arange(len(images)), frame),
        frame=frame,
        keypoints=keypoints[..., :2],
        present=(keypoints != 0).any(axis=-1),
        scores=scores,
        head_sizes=head_sizes,
        tracks=tracks,
        person_index=np.array([annotation.get("person_index", -1) for annotation in annotations], np.int64),
        ignore_regions=tuple(_polygons_18(image) for image in images),
    )


def _joint_slots(path: pathlib.Path, content: dict) -> tuple[list[int], int]:
    """The slots of the 15 joints in the file's keypoints, and the number of slots."""
    categories = content.get("categories")
    names = categories[0].get("keypoints") if categories else None
    names = list(names) if names else list(POSETRACK17.joints)
    missing = [joint for joint in POSETRACK15.joints if joint not in names]
    if missing:
        raise InputError(f"{path}: categories names no joint {missing[0]!r}; PoseTrack files name {POSETRACK15.joints}")
    return [names.index(joint) for joint in POSETRACK15.joints], len(names)


def _polygons_18(image: dict) -> tuple[np.ndarray, ...]:
    xs, ys = image.get("ignore_regions_x") or [], image.get("ignore_regions_y") or []
    return tuple(np.array([x, y], np.float64).T for x, y in zip(xs, ys, strict=True) if len(x) > 2)


def _read_17(path: pathlib.Path, content: dict) -> Sequence:
    rows = content["annolist"]
    people = [(i, person) for i, row in enumerate(rows) for person in row.get("annorect") or []]
    # The official evaluator takes a rectangle with an empty list of points for a person, one without a list not.
    listed = [(i, p) for i, p in people if p.get("annopoints") and "point" in p["annopoints"][0]]
    count = len(listed)
    keypoints = np.zeros((count, 15, 2))
    present = np.zeros((count, 15), bool)
    scores = np.full((count, 15), MISSING_SCORE)
    head_sizes = np.full(count, np.nan)
    for n, (_, person) in enumerate(listed):
        for point in person["annopoints"][0]["point"]:
            joint = point["id"][0]
            if joint is None or not 0 <= joint < 15 or present[n, joint]:
                continue
            keypoints[n, joint] = point["x"][0], point["y"][0]
            present[n, joint] = True
            if "score" in point:
                scores[n, joint] = point["score"][0]
        if "x1" in person:
            width, height = person["x2"][0] - person["x1"][0], person["y2"][0] - person["y1"][0]
            head_sizes[n] = HEAD_SIZE_FACTOR * float(np.hypot(width, height))
    return _assemble(
        path,
        image_ids=np.arange(1, len(rows) + 1),
        has_ids=False,
        labelled=np.array([bool(row.get("annorect")) for row in rows]),
        frame=np.array([i for i, _ in listed], np.int64),
        keypoints=keypoints,
        present=present,
        scores=scores,
        head_sizes=head_sizes,
        tracks=[person["track_id"][0] if person.get("track_id") else None for _, person in listed],
        person_index=np.full(count, -1, np.int64),
        ignore_regions=tuple(_polygons_17(row) for row in rows),
    )


def _polygons_17(row: dict) -> tuple[np.ndarray, ...]:
    polygons = []
    for region in row.get("ignore_regions") or []:
        points = region.get("point") or []
        if len(points) > 2:
            polygons.append(np.array([[point["x"][0], point["y"][0]] for point in points], np.float64))
    return tuple(polygons)


def _position_in_frame(frame: np.ndarray) -> np.ndarray:
    """0, 1, 2, … within each run of equal values of an ascending array."""
    return np.arange(len(frame)) - np.searchsorted(frame, frame)


def _assemble(path: pathlib.Path, frame: np.ndarray, tracks: list, **columns) -> Sequence:
    """Order the persons by frame and fill in what the file may leave out."""
    order = np.argsort(frame, kind="stable")
    frame = frame[order]
    given = [tracks[i] for i in order]
    # The lineage numbers the persons of a frame where nothing was tracked; so do we where the file leaves ids out.
    track_ids = np.array([p if t is None else t for t, p in zip(given, _position_in_frame(frame))], np.int64)
    keys = np.stack([frame, track_ids], axis=1)
    if len(np.unique(keys, axis=0)) != len(keys):
        _, index, counts = np.unique(keys, axis=0, return_index=True, return_counts=True)
        image_id = columns["image_ids"][frame[index[np.argmax(counts > 1)]]]
        raise InputError(f"{path}: a track_id occurs twice in image {image_id}; ids are unique within a frame")
    for name in ("keypoints", "present", "scores", "head_sizes", "person_index"):
        columns[name] = columns[name][order]
    return Sequence(name=path.stem, frame=frame, track_ids=track_ids, source=str(path), **columns)
