"""A small world of everything that commands read: a data set, predictions, a video, boxes, weights, checkpoints."""

import copy
import dataclasses
import functools
import json
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.small_run import HRNET
from jmpose_jax.inference.video.reader import VideoWriter
from jmpose_jax.models.registry import create_model
from jmpose_jax.records import ClipBatch
from jmpose_jax.skeletons import COCO17, POSETRACK17
from jmpose_jax.train.checkpoints import save_variables
from jmpose_jax.weights import published_model, save_torch, to_state_dict
from jmpose_jax.weights.models import abstract_variables

WIDTH, HEIGHT, FRAMES = 96, 64, 6
VIDEOS = {"train": "000001_mpii_train", "val": "100001_mpii_test"}
CATEGORY = {"id": 1, "name": "person", "keypoints": list(POSETRACK17.joints)}


def picture(seed: int) -> np.ndarray:
    """A smooth random image, uint8 RGB."""
    coarse = np.random.default_rng(seed).integers(0, 255, (5, 7, 3), np.uint8)
    return cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


def person(image_id: int, index: int, frame: int) -> dict[str, Any]:
    """An annotation with the 15 joints at places of their own: no two joints may be exchanged unnoticed."""
    keypoints = np.zeros((17, 3))
    keypoints[:, 0] = 12 + 30 * index + 1.5 * np.arange(17) + frame
    keypoints[:, 1] = 8 + (7 * np.arange(17)) % 40
    keypoints[:, 2] = 1
    keypoints[3:5] = 0
    return {
        "id": image_id * 100 + index,
        "image_id": image_id,
        "category_id": 1,
        "track_id": index,
        "bbox": [10.0 + 30 * index + frame, 5.0, 30.0, 50.0],
        "bbox_head": [12.0 + 30 * index, 6.0, 12.0, 10.0],
        "keypoints": keypoints.ravel().tolist(),
        "scores": [],
    }


def annotations(split: str) -> dict[str, Any]:
    """The content of a split's annotation file: two people in each frame, with an ignore region."""
    name = VIDEOS[split]
    images, people = [], []
    for frame in range(FRAMES):
        image_id = 10_000_000_000 + int(name[:6]) * 10_000 + frame
        images.append(
            {
                "file_name": f"images/{split}/{name}/{frame:06d}.jpg",
                "id": image_id,
                "frame_id": image_id,
                "is_labeled": True,
                "width": WIDTH,
                "height": HEIGHT,
                "nframes": FRAMES,
                "ignore_regions_x": [[80.0, 95.0, 95.0]],
                "ignore_regions_y": [[0.0, 0.0, 9.0]],
            }
        )
        people += [person(image_id, index, frame) for index in range(2)]
    return {"images": images, "annotations": people, "categories": [CATEGORY]}


def predictions() -> dict[str, Any]:
    """Results for the val video: right poses with distinct scores, but for one person in two, who is far off."""
    content = annotations("val")
    for n, entry in enumerate(content["annotations"]):
        keypoints = np.asarray(entry["keypoints"]).reshape(17, 3)
        if n % 4 == 1:
            keypoints[keypoints[:, 2] > 0, :2] += 25
        entry["keypoints"] = keypoints.ravel().tolist()
        entry["scores"] = [0.9 - 0.01 * n - 0.0001 * joint for joint in range(17)]
        del entry["bbox_head"]
    return {**content, "images": [{k: i[k] for k in ("file_name", "id", "frame_id")} for i in content["images"]]}


def coco() -> dict[str, Any]:
    """Two images with one person each, in COCO's form."""
    images, people = [], []
    for number in (1, 2):
        images.append({"id": number, "file_name": f"{number:012d}.jpg", "width": WIDTH, "height": HEIGHT})
        keypoints = np.zeros((17, 3))
        keypoints[:, 0], keypoints[:, 1], keypoints[:, 2] = 15 + 2 * np.arange(17) + number, 10 + np.arange(17), 2
        people.append(
            {
                "id": number,
                "image_id": number,
                "category_id": 1,
                "iscrowd": 0,
                "num_keypoints": 17,
                "area": 1500.0,
                "bbox": [10.0, 5.0, 50.0, 40.0],
                "keypoints": keypoints.ravel().tolist(),
            }  # fmt: skip
        )
    category = {"id": 1, "name": "person", "keypoints": list(COCO17.joints)}
    return {"images": images, "annotations": people, "categories": [category]}


def write(path: pathlib.Path, content: Any) -> pathlib.Path:
    """Write bytes, text, or JSON (with the NaN and Infinity that Python writes)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def write_images(folder: pathlib.Path, content: dict[str, Any]) -> None:
    for number, image in enumerate(content["images"]):
        path = folder / image["file_name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), picture(number)[..., ::-1])


def scaled(tree: Any, factor: float) -> Any:
    return jax.tree.map(lambda leaf: leaf * factor, tree)


def untrained(skeleton: str = "posetrack15", joints: int = 15) -> tuple[dict[str, Any], dict[str, Any]]:
    """Config and variables of a tiny image model."""
    config = {
        "model": {"name": "image", "backbone": HRNET | {"num_joints": joints}},
        "dataset": {"delta": 0, "input_size": (64, 48), "skeleton": skeleton, "flow_source": "none"},
        "eval": {"flip_test": False, "decode": "quarter_offset", "blur_kernel": 5},
    }
    batch = ClipBatch(
        frames=np.zeros((1, 1, 64, 48, 3), np.uint8),
        keypoints=np.zeros((1, joints, 2), np.float32),
        joint_weights=np.zeros((1, joints), np.float32),
        transform=np.eye(2, 3, dtype=np.float32)[None],
        box_score=np.ones(1, np.float32),
        index=np.zeros(1, np.int32),
        valid=np.ones(1, np.float32),
    )
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(create_model(config["model"]).init, jax.random.key(0), batch)
    return config, jax.tree.map(lambda leaf: jnp.asarray(rng.uniform(0.01, 0.2, leaf.shape), leaf.dtype), shapes)


@dataclasses.dataclass(frozen=True)
class World:
    """Where everything lies; nothing of it is changed by a test."""

    root: pathlib.Path

    @property
    def posetrack(self) -> pathlib.Path:
        return self.root / "posetrack"

    @property
    def coco(self) -> pathlib.Path:
        return self.root / "coco"

    @property
    def predictions(self) -> pathlib.Path:
        return self.root / "predictions"

    @property
    def checkpoint(self) -> pathlib.Path:
        return self.root / "checkpoint"

    @property
    def video(self) -> pathlib.Path:
        return self.root / "clip.mp4"

    @property
    def torch(self) -> pathlib.Path:
        return self.root / "hrnet_w4.safetensors"

    @functools.cached_property
    def state_dict(self) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(0)
        leaves = jax.tree.map(
            lambda leaf: rng.uniform(0.1, 1, leaf.shape).astype(np.float32),
            abstract_variables(published_model("hrnet_w4")),
        )
        return to_state_dict("hrnet_w4", leaves)

    def copy_of(self, name: str, place: pathlib.Path) -> pathlib.Path:
        """A copy of a part of the world that may be changed."""
        source = self.root / name
        if source.is_dir():
            shutil.copytree(source, place / name)
        else:
            shutil.copyfile(source, place / name)
        return place / name


def build(root: pathlib.Path) -> World:
    """Make the world."""
    world = World(root)
    for split, name in VIDEOS.items():
        content = annotations(split)
        write(world.posetrack / "annotations" / split / f"{name}.json", content)
        write_images(world.posetrack, content)
    content = coco()
    write(world.coco / "annotations" / "person_keypoints_train2017.json", content)
    write_images(world.coco / "train2017", content)
    write(world.predictions / f"{VIDEOS['val']}.json", predictions())
    config, variables = untrained()
    save_variables(world.checkpoint, variables, config)
    with VideoWriter(world.video, 15, (WIDTH, HEIGHT)) as writer:
        for frame in range(FRAMES):
            writer.write(picture(frame))
    save_torch(world.torch, world.state_dict)
    return world


def changed(content: Any, change: Callable[[Any], Any]) -> Any:
    """A changed copy; the change may return the new content or change it in place."""
    content = copy.deepcopy(content)
    result = change(content)
    return content if result is None else result
