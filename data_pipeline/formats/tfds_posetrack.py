"""TFDS builder: what `jmpose prepare` stores, for users of `tfds build`.

tfds build data_pipeline/formats/tfds_posetrack.py --config posetrack18 --manual_dir DIR --file_format array_record

DIR holds the official download of the config, as for `jmpose prepare --source`. Without TensorFlow the file format must
be array_record. TFDS shuffles the examples by a hash of their key; `jmpose prepare` keeps the order of time.
"""

import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from data_pipeline.formats import example, schema
from data_pipeline.formats.shards import image_bytes
from data_pipeline.preparation.plan import PlanOptions, Report, plan_split
from data_pipeline.sources import datasets
from jmpose_jax.skeletons import POSETRACK17, Skeleton

MAX_DELTA = 2
CONFIGS = tuple(name for name in datasets.DATASETS if name != "synthetic")


class Posetrack(tfds.core.GeneratorBasedBuilder):
    """Frames of PoseTrack or COCO with 2-D poses of the people in them, one example a frame."""

    # TFDS would look the file up with importlib_resources, which it does not install on Python 3.11 and newer.
    code_path = epath.Path(__file__)
    VERSION = tfds.core.Version(schema.VERSION)
    BUILDER_CONFIGS = [tfds.core.BuilderConfig(name=name, description=f"Frames of {name}.") for name in CONFIGS]
    MANUAL_DOWNLOAD_INSTRUCTIONS = "Give the folder that holds images/ and annotations/ of the data set as manual_dir."

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            features=features(datasets.skeleton_of(self.builder_config.name)),
            homepage="https://posetrack.net",
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        source = pathlib.Path(dl_manager.manual_dir)
        found = datasets.find_splits(source, self.builder_config.name)
        return {split: self._generate_examples(source, split, files) for split, files in found.items()}

    def _generate_examples(
        self, source: pathlib.Path, split: str, files: list[pathlib.Path]
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        dataset = self.builder_config.name
        options = PlanOptions(MAX_DELTA, datasets.skeleton_of(dataset), show_progress=False)
        videos = datasets.read_split(dataset, source, files, split)
        stored, _ = plan_split(videos, [], Report(), options)
        for item in stored:
            frame = item.frame
            data = schema.encode_frame(frame, image_bytes(frame), item.size, item.video.name, len(item.video.frames))
            yield frame.image_id, nested(example.decode(data), options.skeleton)


def features(skeleton: Skeleton = POSETRACK17) -> tfds.features.FeaturesDict:
    """The features of a record, by the classes of TFDS; `schema.features_json` describes the same."""
    root: dict[str, Any] = {}
    for name, (kind, shape) in schema.features_of(skeleton).items():
        *groups, last = name.split("/")
        node = root
        for group in groups:
            node = node.setdefault(group, {})
        node[last] = _feature(kind, shape, schema.description(skeleton) if name == "keypoints" else None)
    return tfds.features.FeaturesDict(root)


def _feature(kind: str, shape: tuple[int, ...], doc: str | None = None) -> tfds.features.FeatureConnector:
    shape = tuple(None if length < 0 else length for length in shape)
    if kind == "jpeg":
        return tfds.features.Image(shape=shape, encoding_format="jpeg")
    if kind == "text":
        return tfds.features.Text()
    dtype = np.dtype(kind)
    return tfds.features.Tensor(shape=shape, dtype=dtype, doc=doc) if shape else tfds.features.Scalar(dtype)


def nested(flat: dict[str, bytes | np.ndarray], skeleton: Skeleton) -> dict[str, Any]:
    """The features of an Example in the form that TFDS takes: groups as dicts, arrays in their shapes."""
    root: dict[str, Any] = {}
    for name, (kind, shape) in schema.features_of(skeleton).items():
        *groups, last = name.split("/")
        node = root
        for group in groups:
            node = node.setdefault(group, {})
        if kind in ("jpeg", "text"):
            node[last] = flat.get(name, b"")
        elif shape:
            node[last] = np.asarray(flat.get(name, ()), kind).reshape(shape)
        else:
            node[last] = np.dtype(kind).type(np.asarray(flat[name]).ravel()[0])
    return root
