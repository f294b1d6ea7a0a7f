"""Clips by number, and their transformation into the arrays of one example: what loader threads and workers run."""

import collections
import threading
from collections.abc import Callable
from typing import Any, SupportsIndex

import numpy as np
from absl import logging

from data_pipeline.clips import jpeg
from data_pipeline.clips.flow import stored_flow
from data_pipeline.clips.table import ClipTable
from data_pipeline.clips.transforms import Augmentation, crop_keypoints, example_affine
from data_pipeline.formats import example
from data_pipeline.formats.array_record import ArrayRecordSource
from data_pipeline.formats.tfrecord import TFRecordSource
from jmpose_jax.errors import InputError
from jmpose_jax.ops.geometry import invert_affine, warp
from jmpose_jax.records import Clip
from jmpose_jax.skeletons import Skeleton, joint_map

Element = tuple[Clip, int, float, int]  # clip, row of the table, valid, damaged records of its window


class ClipSource:
    """The clips of a table, with decoded frames: a Grain random-access source of `Element`.

    Neighbouring rows share frames (several people in a frame, windows that overlap), so the last decoded frames are
    kept, up to a bound of bytes.
    """

    def __init__(
        self,
        table: ClipTable,
        records: TFRecordSource | ArrayRecordSource,
        delta: int,
        skeleton: Skeleton,
        length: int,
        stored_pairs: str | None = None,
        damaged: str = "error",
        cache_bytes: int = 48 * 2**20,
    ):
        """Args:
        table: the clips.
        records: the frames.
        delta: neighbours on each side.
        skeleton: order of the joints; those that the data set does not have are never annotated.
        length: number of clips to give; those past the table's end repeat its last row with valid = 0.
        stored_pairs: name of the pairs whose stored flow is read with the frames; None reads none.
        damaged: "error", or "skip": a clip whose key frame's record is damaged comes with valid = 0, a damaged
          neighbour is treated as a missing one.
        cache_bytes: bound of the decoded frames that are kept.
        """
        self._table, self._records, self._length = table, records, length
        self._windows, self._offsets = table.windows(delta)
        joints = np.asarray(joint_map(table.skeleton, skeleton))
        self._joints, self._known = np.maximum(joints, 0), joints >= 0
        self._stored_pairs, self._cache_bytes, self._skip = stored_pairs, cache_bytes, damaged == "skip"
        self._open()

    def _open(self) -> None:
        self._cache: collections.OrderedDict[int, tuple[np.ndarray, dict[str, Any]]] = collections.OrderedDict()
        self._cached_bytes = 0
        self._lock = threading.Lock()
        self._told: set[int] = set()

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, record_key: SupportsIndex) -> Element:
        row = int(record_key)
        valid = float(row < len(self._table))
        row = min(row, len(self._table) - 1)
        clips = self._table.clips
        window, offsets = [int(v) for v in self._windows[row]], tuple(int(v) for v in self._offsets[row])
        frames = {record: frame for record in sorted(set(window)) if (frame := self._readable(record)) is not None}
        damaged, key = len(set(window)) - len(frames), window[len(window) // 2]
        if key not in frames:
            valid, window, offsets = 0.0, [key] * len(window), (0,) * len(window)
            frames = {key: (self._blank(key), {})}
        elif damaged:
            whole = [record in frames for record in window]
            window, offsets = [list(v) for v in zip(*without(list(zip(window, offsets)), whole))]
        images = tuple(frames[record][0] for record in window)
        video = self._table.videos[clips["video"][row]]
        flow = None
        if self._stored_pairs is not None:
            features = [frames[record][1] for record in window]
            place = f"video {video} frame {int(clips['image_id'][row])}"
            flow = stored_flow(features, offsets, self._stored_pairs, place)
        clip = Clip(
            frames=images,
            frame_offsets=tuple(offsets),
            box=clips["box"][row],
            box_score=float(clips["box_score"][row]),
            keypoints=np.where(self._known[:, None], clips["keypoints"][row][self._joints], np.float32(0)),
            joint_visibility=(clips["annotated"][row][self._joints] & self._known).astype(np.float32),
            video=video,
            image_id=int(clips["image_id"][row]),
            person_index=int(clips["person_index"][row]),
            track_id=int(clips["track_id"][row]),
            flow=flow,
        )
        return clip, row, valid, damaged

    def _readable(self, record: int) -> tuple[np.ndarray, dict[str, Any]] | None:
        """The frame, or None where its record is damaged and damaged ones are skipped."""
        try:
            return self._frame(record)
        except InputError as error:
            if not self._skip:
                raise
            if record not in self._told:
                self._told.add(record)
                logging.error("skipped: %s", error)
            return None

    def _blank(self, record: int) -> np.ndarray:
        return np.zeros((*self._table.frames["frame_size"][record], 3), np.uint8)

    def _frame(self, record: int) -> tuple[np.ndarray, dict[str, Any]]:
        with self._lock:
            if record in self._cache:
                self._cache.move_to_end(record)
                return self._cache[record]
        features = example.decode(self._records[record])
        image = jpeg.decode(features.pop("image/encoded", b""))
        if image is None:
            name = features.get("image/file_name", b"").decode()
            raise InputError(
                f"record {record} ({name}): its JPEG cannot be decoded; remove the image and prepare again"
            )
        image.flags.writeable = False  # it is shared
        if self._stored_pairs is None:
            features = {}
        with self._lock:
            if record not in self._cache:
                self._cache[record] = (image, features)
                self._cached_bytes += image.nbytes
            while self._cached_bytes > self._cache_bytes and len(self._cache) > 1:
                self._cached_bytes -= self._cache.popitem(last=False)[1][0].nbytes
        return image, features

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_cache", "_cached_bytes", "_lock", "_told")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    def __repr__(self) -> str:
        return f"ClipSource(clips={len(self)}, {self._records!r})"


def without(window: list[Any], whole: list[bool]) -> list[Any]:
    """The window of a clip with some frames gone, which are replaced as `ClipTable.windows` replaces missing ones."""
    middle = len(window) // 2
    before = [entry for entry, good in zip(window[:middle], whole) if good]
    after = []
    for entry, good in zip(window[middle + 1 :], whole[middle + 1 :]):
        if good:
            after.append(entry)
    after += [after[-1] if after else window[middle]] * (middle - len(after))
    return [*before, *[window[middle]] * (middle - len(before)), window[middle], *after]


class ToExample:
    """`Clip` to the arrays of one example: crops by one affine, joints, flow; augmented where it is told how to."""

    def __init__(
        self,
        size: tuple[int, int],
        skeleton: Skeleton,
        augmentation: Augmentation | None,
        flow: Callable[[np.ndarray, Clip, np.ndarray], np.ndarray | None],
        enlarge: float = 1.25,
    ):
        """Args:
        size: (width, height) of the crops.
        skeleton: order of the joints.
        augmentation: None for the plain crop.
        flow: what `flow.crop_flow` gives.
        enlarge: the crop's size over the box's.
        """
        self._size, self._skeleton, self._augmentation, self._flow = size, skeleton, augmentation, flow
        self._enlarge = enlarge

    def __call__(self, element: Element, rng: np.random.Generator | None = None) -> dict[str, np.ndarray]:
        """The fields of `ClipBatch` without the batch axis, and "damaged".

        Args:
          element: clip, row number, valid (1 or 0) and the number of its damaged records.
          rng: the example's own generator; None for the plain crop.
        """
        clip, row, valid, damaged = element
        skeleton = self._skeleton
        affine, flip = example_affine(
            clip.box,
            self._size,
            clip.keypoints,
            clip.joint_visibility,
            skeleton,
            self._augmentation,
            rng,
            self._enlarge,
        )
        crops: dict[int, np.ndarray] = {}  # a repeated frame is warped once
        for frame in clip.frames:
            if id(frame) not in crops:
                crops[id(frame)] = warp(frame, affine, self._size)
        frames = np.stack([crops[id(frame)] for frame in clip.frames])
        permutation = skeleton.flip_permutation if flip else None
        keypoints, weights = crop_keypoints(clip.keypoints, clip.joint_visibility, affine, self._size, permutation)
        arrays = {
            "frames": frames,
            "keypoints": keypoints,
            "joint_weights": weights * np.float32(valid),
            "transform": invert_affine(affine).astype(np.float32),
            "box_score": np.float32(clip.box_score),
            "index": np.int32(row),
            "valid": np.float32(valid),
            "damaged": np.int32(damaged),
        }
        flow = self._flow(frames, clip, affine)
        if flow is not None:
            arrays["flow"] = flow
        return arrays
