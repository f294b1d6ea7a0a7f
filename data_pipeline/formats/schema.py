"""One record of the shards is one frame: its image as it came, its people, its ignore regions, and any flow.

Feature names and types are also written as a TFDS description, so that the folder is a TFDS data set folder.
"""

import json
import pathlib
import zlib
from typing import Any

import numpy as np

from data_pipeline.formats import example
from data_pipeline.sources.annotations import Frame, Person
from jmpose_jax.checks import read_json
from jmpose_jax.errors import InputError
from jmpose_jax.skeletons import POSETRACK17, Skeleton

DATASET_NAME = "posetrack"
VERSION = "1.0.0"
# Names of the optional flow features, by the distance in time of the frame that the flow leads to.
FLOW_FEATURES = {-2: "flow/minus_2", -1: "flow/minus_1", 1: "flow/plus_1", 2: "flow/plus_2"}
FLOW_SHAPE = "flow/shape"

_TFDS = "tensorflow_datasets.core.features"
FEATURES_FILE = "features.json"
# name -> (kind, shape) of every feature; a first dimension of -1 is the number of people, points or polygons, a second
# one that of the skeleton's joints.
FEATURES: dict[str, tuple[str, tuple[int, ...]]] = {
    "image/encoded": ("jpeg", (-1, -1, 3)),
    "image/id": ("int64", ()),
    "image/file_name": ("text", ()),
    "image/height": ("int64", ()),
    "image/width": ("int64", ()),
    "video": ("text", ()),
    "frame_index": ("int64", ()),
    "nframes": ("int64", ()),
    "is_labeled": ("bool", ()),
    "keypoints": ("float32", (-1, -1, 3)),
    "boxes": ("float32", (-1, 4)),
    "head_boxes": ("float32", (-1, 4)),
    "track_ids": ("int64", (-1,)),
    "annotation_ids": ("int64", (-1,)),
    "ignore_regions/points": ("float32", (-1, 2)),
    "ignore_regions/lengths": ("int64", (-1,)),
}
_FLOW = {**{name: ("string", ()) for name in FLOW_FEATURES.values()}, FLOW_SHAPE: ("int64", (2,))}


def encode_frame(
    frame: Frame,
    image: bytes,
    size: tuple[int, int],
    video: str,
    nframes: int,
    flow: dict[int, np.ndarray] | None = None,
) -> bytes:
    """One frame as a serialised tf.train.Example.

    Args:
      frame: the frame and its people.
      image: the JPEG file's bytes; they are stored untouched.
      size: (height, width) of the image.
      video: the video's name.
      nframes: number of frames of the video, as its annotations list them.
      flow: None for a data set without flow; else distance in time to float32 [h, w, 2], kept as float16.

    Returns:
      The record's bytes.
    """
    people = frame.persons
    polygons = frame.ignore_regions
    features: dict[str, example.Value] = {
        "image/encoded": image,
        "image/id": frame.image_id,
        "image/file_name": frame.file_name,
        "image/height": size[0],
        "image/width": size[1],
        "video": video,
        "frame_index": frame.number,
        "nframes": nframes,
        "is_labeled": frame.is_labeled,
        "keypoints": _stack([p.keypoints for p in people], (0, 3)),
        "boxes": _stack([p.box for p in people], (4,)),
        "head_boxes": _stack([p.head_box for p in people], (4,)),
        "track_ids": np.asarray([p.track_id for p in people], np.int64),
        "annotation_ids": np.asarray([p.annotation_id for p in people], np.int64),
        "ignore_regions/points": np.concatenate(polygons) if polygons else np.zeros((0, 2), np.float32),
        "ignore_regions/lengths": np.asarray([len(p) for p in polygons], np.int64),
    }
    if flow is not None:
        shapes = {array.shape[:2] for array in flow.values()}
        if len(shapes) > 1:
            raise InputError(f"{frame.file_name}: its flow files differ in size {sorted(shapes)}; write them again")
        for distance, name in FLOW_FEATURES.items():
            array = flow.get(distance)
            features[name] = b"" if array is None else zlib.compress(array.astype("<f2").tobytes(), 1)
        features[FLOW_SHAPE] = np.asarray(next(iter(shapes), (0, 0)), np.int64)
    return example.encode(features)


def _stack(arrays: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    return np.stack(arrays).astype(np.float32) if arrays else np.zeros((0, *shape), np.float32)


def decode_frame(data: bytes) -> tuple[Frame, dict[str, Any]]:
    """The inverse of `encode_frame`, without the image.

    Args:
      data: the record's bytes.

    Returns:
      The frame (its `path` is the stored file name, `extras` is empty), and the other features: "image/encoded",
      "image/height", "image/width", "video", "nframes", and flow where there is any.
    """
    features = example.decode(data)
    people = len(features.get("annotation_ids", ()))
    columns = {
        name: _array(features, name, people if shape[1:2] == (-1,) else -1)
        for name, (kind, shape) in FEATURES.items()
        if shape and kind != "jpeg"
    }
    people = tuple(
        Person(keypoints, box, head_box, int(track), int(identity))
        for keypoints, box, head_box, track, identity in zip(
            columns["keypoints"], columns["boxes"], columns["head_boxes"], columns["track_ids"],
            columns["annotation_ids"],
        )
    )  # fmt: skip
    ends = np.cumsum(columns["ignore_regions/lengths"])
    file_name = features["image/file_name"].decode()
    frame = Frame(
        file_name=file_name,
        path=pathlib.Path(file_name),
        image_id=int(features["image/id"][0]),
        number=int(features["frame_index"][0]),
        is_labeled=bool(features["is_labeled"][0]),
        persons=people,
        ignore_regions=tuple(np.split(columns["ignore_regions/points"], ends[:-1]) if len(ends) else ()),
    )
    rest: dict[str, Any] = {
        "image/encoded": features["image/encoded"],
        "image/height": int(features["image/height"][0]),
        "image/width": int(features["image/width"][0]),
        "video": features["video"].decode(),
        "nframes": int(features["nframes"][0]),
    }
    flow = {distance: flow_of(features, distance) for distance in FLOW_FEATURES}
    rest["flow"] = {distance: array for distance, array in flow.items() if array is not None}
    return frame, rest


def _array(features: dict[str, Any], name: str, people: int) -> np.ndarray:
    kind, shape = FEATURES[name]
    array = np.asarray(features.get(name, ()), kind)
    if people == 0:  # of nobody: how many joints they would have is not to be seen
        return array.reshape(0, 0, *shape[2:])
    return array.reshape(people, *shape[1:])


def flow_of(features: dict[str, Any], distance: int) -> np.ndarray | None:
    """The stored flow to the frame `distance` later: float32 [h, w, 2] in image pixels, or None."""
    packed = features.get(FLOW_FEATURES.get(distance, ""), b"")
    if not packed:
        return None
    height, width = (int(v) for v in features[FLOW_SHAPE])
    return np.frombuffer(zlib.decompress(packed), "<f2").astype(np.float32).reshape(height, width, 2)


def features_of(skeleton: Skeleton) -> dict[str, tuple[str, tuple[int, ...]]]:
    """FEATURES with the number of joints of a skeleton."""
    kind, (people, _, values) = FEATURES["keypoints"]
    return FEATURES | {"keypoints": (kind, (people, skeleton.num_joints, values))}


def features_json(with_flow: bool, skeleton: Skeleton = POSETRACK17) -> str:
    """The content of features.json, in the form that TFDS 4.9 writes.

    The skeleton is the description of the feature "keypoints": TFDS keeps no other place for what is not its own.
    """
    root: dict[str, Any] = {}
    for name, (kind, shape) in (features_of(skeleton) | (_FLOW if with_flow else {})).items():
        *groups, last = name.split("/")
        node = root
        for group in groups:
            node = node.setdefault(group, {})
        node[last] = (kind, shape)
    tree = _feature_tree(root)
    tree["featuresDict"]["features"]["keypoints"]["description"] = description(skeleton)
    return json.dumps(tree, indent=4, sort_keys=True)


def description(skeleton: Skeleton) -> str:
    """What features.json says of keypoints; `read_skeleton` reads it."""
    return json.dumps(skeleton.to_dict())


def read_skeleton(folder: pathlib.Path) -> Skeleton | None:
    """The skeleton of a prepared folder's keypoints; None where its features.json does not say.

    Raises:
      InputError: the file is damaged, or its skeleton is none.
    """
    path = folder / FEATURES_FILE
    if not path.is_file():
        return None
    where = f"{path}: the description of 'keypoints'"
    try:
        text = read_json(path)["featuresDict"]["features"]["keypoints"].get("description")
        content = None if text is None else json.loads(text)
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise InputError(f"{where} holds no skeleton ({error}); prepare the data set again") from error
    return None if content is None else Skeleton.from_dict(content, where)


def _feature_tree(node: Any) -> dict[str, Any]:
    if isinstance(node, dict):
        features = {name: _feature_tree(child) for name, child in node.items()}
        return {"pythonClassName": f"{_TFDS}.features_dict.FeaturesDict", "featuresDict": {"features": features}}
    kind, shape = node
    dimensions = {"dimensions": [str(n) for n in shape]} if shape else {}
    if kind == "jpeg":
        image = {"dtype": "uint8", "encodingFormat": "jpeg", "shape": dimensions}
        return {"pythonClassName": f"{_TFDS}.image_feature.Image", "image": image}
    if kind == "text":
        return {"pythonClassName": f"{_TFDS}.text_feature.Text", "text": {}}
    name = "tensor_feature.Tensor" if shape or kind == "string" else "scalar.Scalar"
    return {
        "pythonClassName": f"{_TFDS}.{name}",
        "tensor": {"dtype": kind, "encoding": "none", "shape": dimensions},
    }


def shard_name(split: str, shard: int, num_shards: int, file_format: str = "tfrecord") -> str:
    """TFDS's name of a shard."""
    return f"{DATASET_NAME}-{split}.{file_format}-{shard:05d}-of-{num_shards:05d}"


def dataset_info_json(shards: dict[str, tuple[list[int], int]], description: str, file_format: str = "tfrecord") -> str:
    """The content of dataset_info.json, in the form that TFDS 4.9 writes.

    Args:
      shards: split name to (number of records of each shard, bytes of all records).
      description: one paragraph for `tfds.builder(...).info`.
      file_format: "tfrecord" or "array_record".

    Returns:
      JSON text.
    """
    splits = [
        {
            "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
            "name": split,
            "numBytes": str(num_bytes),
            "shardLengths": [str(length) for length in lengths],
        }
        for split, (lengths, num_bytes) in shards.items()
    ]
    info = {
        "name": DATASET_NAME,
        "version": VERSION,
        "fileFormat": file_format,
        "description": description,
        "splits": splits,
    }
    return json.dumps(info, indent=2)
