"""The clip table of a split: one row a person to estimate, with the numbers of the records that make up its clip."""

import dataclasses
import os
import pathlib
import zipfile

import numpy as np

from data_pipeline.formats.schema import FEATURES_FILE, read_skeleton
from data_pipeline.sources.boxes import Detection, match_detections, other_size
from jmpose_jax.errors import InputError
from jmpose_jax.skeletons import POSETRACK17, SKELETONS, Skeleton

# The columns that every table has. The embedded data set adds columns for analysis, e.g. "joint_cause".
CLIP_COLUMNS = ("key_record", "person_index", "box", "box_score", "head_box", "keypoints", "annotated", "visibility",
                "track_id", "image_id", "video")  # fmt: skip
FRAME_COLUMNS = ("frame_video", "frame_number", "frame_image_id", "frame_file_name", "frame_is_labeled", "frame_size")


@dataclasses.dataclass(frozen=True)
class ClipTable:
    """All clips of a split as columns of n rows, beside the m frames (one a record) and the videos they come from.

    Attributes:
      clips: "key_record" int64 [n], number of the key frame's record; "person_index" int32 [n], place among the frame's
        annotations, -1 for a detection; "box" float32 [n, 4], clipped to the image; "box_score" float32 [n];
        "head_box" float32 [n, 4]; "keypoints" float32 [n, K, 2] in image pixels; "annotated" bool [n, K];
        "visibility" float32 [n, K], the file's flag; "track_id", "image_id" int64 [n]; "video" int32 [n]; and columns
        for analysis where the annotations carry them.
      frames: "frame_video" int32 [m], "frame_number" int64 [m] (place in time), "frame_image_id" int64 [m],
        "frame_file_name" str [m], "frame_is_labeled" bool [m], "frame_size" int32 [m, 2] (height, width).
      videos: names, in the order that "video" and "frame_video" count.
      skeleton: of the K stored joints.
    """

    clips: dict[str, np.ndarray]
    frames: dict[str, np.ndarray]
    videos: tuple[str, ...]
    skeleton: Skeleton = POSETRACK17

    def __len__(self) -> int:
        return len(self.clips["key_record"])

    @staticmethod
    def path(folder: pathlib.Path | str, split: str) -> pathlib.Path:
        return pathlib.Path(folder) / f"clips-{split}.npz"

    @classmethod
    def load(cls, folder: pathlib.Path | str, split: str) -> "ClipTable":
        """The table of a split of a prepared folder.

        Raises:
          InputError: where the folder was not prepared, lacks the split, or the file is damaged.
        """
        path = cls.path(folder, split)
        if not path.is_file():
            if not path.parent.is_dir():
                what = "is a file, not a folder" if path.parent.exists() else "does not exist"
                raise InputError(f"{path.parent}: {what}; give the folder that `jmpose prepare` wrote")
            found = sorted(p.stem.removeprefix("clips-") for p in path.parent.glob("clips-*.npz"))
            hint = f"it has {', '.join(found)}" if found else "run `jmpose prepare` to make it"
            raise InputError(f"{path.parent}: no prepared split {split!r}; {hint}")
        try:
            with np.load(path, allow_pickle=False) as archive:
                columns = {name: archive[name] for name in archive.files}
        except Exception as error:  # zipfile, zlib and NumPy each have their own
            raise InputError(f"{path}: damaged clip table ({error}); prepare the data set again") from error
        missing = [name for name in (*CLIP_COLUMNS, *FRAME_COLUMNS, "videos") if name not in columns]
        if missing:
            raise InputError(f"{path}: columns {', '.join(missing)} are missing; prepare the data set again")
        videos = tuple(str(name) for name in columns.pop("videos"))
        frames = {name: columns.pop(name) for name in FRAME_COLUMNS}
        name = str(columns.pop("skeleton", POSETRACK17.name))
        skeleton = read_skeleton(path.parent) or SKELETONS.get(name)
        if skeleton is None or skeleton.name != name or columns["keypoints"].shape[1:] != (skeleton.num_joints, 2):
            raise InputError(
                f"{path}: keypoints {list(columns['keypoints'].shape)} of {name!r}, which {FEATURES_FILE} beside it "
                "does not describe; prepare the data set again"
            )
        return cls(columns, frames, videos, skeleton)

    def save(self, folder: pathlib.Path, split: str) -> None:
        """Write `clips-{split}.npz` into a folder."""
        columns = {**self.clips, **self.frames, "videos": np.asarray(self.videos, str), "skeleton": self.skeleton.name}
        path = self.path(folder, split)
        temporary = path.with_name(f"{path.name}.tmp-{os.getpid()}")
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, column in columns.items():
                # NumPy's own writer puts the time into the archive; the same table shall give the same bytes.
                entry = zipfile.ZipInfo(f"{name}.npy")
                entry.compress_type = zipfile.ZIP_DEFLATED
                with archive.open(entry, "w", force_zip64=True) as file:
                    np.lib.format.write_array(file, np.asanyarray(column), allow_pickle=False)
        os.replace(temporary, path)

    def find_skeleton(self, name: str) -> Skeleton:
        """The skeleton that a config names: one of those that are known everywhere, or the stored one.

        Raises:
          InputError: there is none of this name.
        """
        known = {self.skeleton.name: self.skeleton} | SKELETONS
        if name not in known:
            raise InputError(f"skeleton={name!r} is not known; use one of {', '.join(known)}")
        return known[name]

    def select(self, rows: np.ndarray) -> "ClipTable":
        """The table with the clips int [k] `rows` alone; frames and videos stay."""
        return dataclasses.replace(self, clips={name: column[rows] for name, column in self.clips.items()})

    def windows(self, delta: int) -> tuple[np.ndarray, np.ndarray]:
        """The frames of every clip.

        A missing previous frame is replaced by the key frame (what exists comes first, so [t-1, t] where only t-1
        exists); a missing next frame by the last next frame that exists, or by the key frame where there is none.

        Args:
          delta: neighbours on each side.

        Returns:
          Record numbers int64 [n, 2δ+1] and distances from the key frame int64 [n, 2δ+1], both in the order of time.
        """
        # Records are numbered by video, then by time: place in this key order is the record number.
        order = self.frames["frame_video"].astype(np.int64) << 32 | self.frames["frame_number"].astype(np.int64)
        key = order[self.clips["key_record"]]
        exists = {}
        for distance in range(-delta, delta + 1):
            place = np.minimum(np.searchsorted(order, key + distance), len(order) - 1)
            exists[distance] = order[place] == key + distance
        zero = np.zeros(len(self), np.int64)
        before, after = [], []
        if delta:
            wanted = np.stack([np.where(exists[d], d, 0) for d in range(-delta, 0)], axis=1)
            first_existing = np.argsort(wanted == 0, axis=1, kind="stable")
            before = list(np.take_along_axis(wanted, first_existing, axis=1).T)
            last = zero
            wanted = np.stack([np.where(exists[d], d, delta + 1) for d in range(1, delta + 1)], axis=1)
            for column in np.sort(wanted, axis=1).T:
                last = np.where(column <= delta, column, last)
                after.append(last)
        offsets = np.stack([*before, zero, *after], axis=1)
        return np.searchsorted(order, key[:, None] + offsets), offsets

    def with_detections(self, detections: list[Detection], source: str) -> "ClipTable":
        """The table of the same frames whose clips are detections instead of annotated people.

        Args:
          detections: of a whole split; those on frames that are not labelled are left out.
          source: the detector file, for messages.

        Returns:
          A table with keypoints zero, `person_index` and `track_id` -1.

        Raises:
          InputError: where no detection lies on a labelled frame, or the file gives an image another size than it has.
        """
        matched, _ = match_detections(
            detections, list(self.frames["frame_file_name"]), list(self.frames["frame_image_id"])
        )
        matched = [(frame, d) for frame, d in matched if self.frames["frame_is_labeled"][frame]]
        if not matched:
            raise InputError(
                f"{source}: none of its {len(detections)} boxes lies on a labelled frame of this split; "
                "check that the file belongs to the data set, and its score threshold"
            )
        fault = other_size(matched, self.frames["frame_size"])
        if fault:
            raise InputError(f"{source}: {fault}")
        record = np.asarray([frame for frame, _ in matched], np.int64)
        n, joints = len(matched), self.clips["keypoints"].shape[1]
        clips = {
            "key_record": record,
            "person_index": np.full(n, -1, np.int32),
            "box": np.stack([d.box for _, d in matched]),
            "box_score": np.asarray([d.score for _, d in matched], np.float32),
            "head_box": np.zeros((n, 4), np.float32),
            "keypoints": np.zeros((n, joints, 2), np.float32),
            "annotated": np.zeros((n, joints), bool),
            "visibility": np.zeros((n, joints), np.float32),
            "track_id": np.full(n, -1, np.int64),
            "image_id": self.frames["frame_image_id"][record],
            "video": self.frames["frame_video"][record],
        }
        return dataclasses.replace(self, clips=clips)
