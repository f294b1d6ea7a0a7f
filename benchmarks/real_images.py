"""MoveNet on real images that it did not see in training here: poses on given boxes, and people found.

python -m benchmarks.real_images ../shared/data --output real_images.json

The folder holds four images of COCO, three of PoseTrack18 and three of JHMDB with their annotations. A joint is right
within a tenth of its box's longer side (PCK@0.1); only joints that the data set and the model both have are counted.
"""

import argparse
import json
import pathlib
import platform
import time
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from PIL import Image, ImageOps

import jmpose_jax
from jmpose_jax.inference.detectors import Detector
from jmpose_jax.inference.library import PosePredictor
from jmpose_jax.inference.movenet import DETECTOR, MoveNetDetector, weights
from jmpose_jax.inference.tracking.likeness import box_iou
from jmpose_jax.metrics.keypoints import COCO17_SIGMAS, box_size, oks
from jmpose_jax.skeletons import COCO17

SETS = {
    "coco": ("coco/test_coco.json", "coco"),
    "posetrack18": ("posetrack18/annotations/test_posetrack18_val.json", "posetrack18"),
    "jhmdb": ("jhmdb/test_jhmdb_sub1.json", "jhmdb"),
}
SAME_PERSON = 0.5  # intersection over union of a found box and an annotated one
SHARE = 0.1  # of the longer side


def images_of(folder: pathlib.Path, name: str) -> Iterator[tuple[np.ndarray, list[dict[str, Any]], list[str]]]:
    """Image, annotated people, and the joints' names of each image of a set."""
    file, images = SETS[name]
    content = json.loads((folder / file).read_text())
    joints = content["categories"][0]["keypoints"]
    for image in content["images"]:
        people = [a for a in content["annotations"] if a["image_id"] == image["id"] and not a.get("iscrowd")]
        found = sorted((folder / images).rglob(f"*{pathlib.PurePosixPath(image['file_name']).name}"))
        path = next(p for p in found if str(p).endswith(image["file_name"]) or len(found) == 1)
        yield np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB")), people, joints


def measure(folder: pathlib.Path, name: str, predictor: PosePredictor, detector: Detector) -> dict[str, Any]:
    """Joints right on annotated boxes, their OKS where an area is known, and people found, over one set.

    `found` is by the detector; `kept` by the whole predictor, which drops a box whose pose is another person's, as that
    of somebody hidden. OKS is of people with an annotated joint.
    """
    right = total = found = kept = count = 0
    likeness = []
    for image, people, joints in images_of(folder, name):
        boxes = np.array([person["bbox"] for person in people], np.float32)
        truth = np.array([person["keypoints"] for person in people], np.float64).reshape(len(people), -1, 3)
        shared = [(k, COCO17.index(joint)) for k, joint in enumerate(joints) if joint in COCO17.joints]
        theirs, ours = (list(side) for side in zip(*shared))
        known = (truth[:, theirs, 2] > 0) & (truth[:, theirs, :2] != 0).any(-1)
        poses = predictor(image, boxes).poses
        away = np.linalg.norm(poses[:, ours] - truth[:, theirs, :2], axis=-1)
        right += int(((away <= SHARE * box_size(boxes)[:, None]) & known).sum())
        total += int(known.sum())
        count += len(people)
        found += int((box_iou(boxes, detector(0, image).boxes).max(1, initial=0) >= SAME_PERSON).sum())
        kept += int((box_iou(boxes, predictor(image).boxes).max(1, initial=0) >= SAME_PERSON).sum())
        if all("area" in person for person in people):
            areas = np.array([person["area"] for person in people])
            alike = oks(poses[:, ours], truth[:, theirs, :2], areas, COCO17_SIGMAS[ours], known)
            likeness += alike[known.any(1)].tolist()
    return {
        "people": count,
        "joints": total,
        "pck": right / total,
        "right": right,
        "oks": float(np.mean(likeness)) if likeness else None,
        "posed": len(likeness) or None,
        "found": found,
        "kept": kept,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--models", nargs="+", default=["movenet_thunder", "movenet_lightning"])
    parser.add_argument("--output", type=pathlib.Path)
    given = parser.parse_args()
    results = {
        "machine": platform.machine(),
        "jax": jax.__version__,
        "device": jax.devices()[0].device_kind,
        "models": {},
    }
    detector = MoveNetDetector(weights([DETECTOR], print)[DETECTOR])
    for model in given.models:
        predictor, start = jmpose_jax.load(model, say=print), time.monotonic()
        sets = {name: measure(given.folder, name, predictor, detector) for name in SETS}
        right, joints = (sum(each[key] for each in sets.values()) for key in ("right", "joints"))
        people = sum(each["people"] for each in sets.values())
        results["models"][model] = {"sets": sets, "pck": right / joints, "joints": joints, "people": people}
        print(f"{model}: {people} people, {right} of {joints} joints right, PCK@{SHARE:g} {right / joints:.3f}")
        for name, each in sets.items():
            likeness = "" if each["oks"] is None else f", mean OKS {each['oks']:.3f} of {each['posed']} people"
            print(
                f"  {name}: PCK@{SHARE:g} {each['pck']:.3f} of {each['joints']} joints{likeness}; "
                f"{each['found']} of {each['people']} people found, {each['kept']} kept"
            )
        print(f"  {time.monotonic() - start:.0f} s")
    if given.output:
        given.output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
