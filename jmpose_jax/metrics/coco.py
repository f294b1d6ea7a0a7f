"""OKS AP as COCO defines it, by the official evaluator: `pycocotools`, or its faster form `faster-coco-eval`.

Tied scores: both sort by score with a stable sort, so among equal scores the earlier entry of the list comes first.
"""

import contextlib
import importlib
import io
import pathlib
from typing import Any

import numpy as np

from jmpose_jax.checks import finite, read_json
from jmpose_jax.errors import InputError

BACKENDS = {"pycocotools": ("pycocotools.coco", "pycocotools.cocoeval", "COCO", "COCOeval"),
            "faster_coco_eval": ("faster_coco_eval", "faster_coco_eval", "COCO", "COCOeval_faster")}  # fmt: skip
STATISTICS = ("AP", "AP50", "AP75", "AP_medium", "AP_large", "AR", "AR50", "AR75", "AR_medium", "AR_large")


def oks_ap(
    ground_truth: str | pathlib.Path,
    detections: list[dict[str, Any]] | str | pathlib.Path,
    sigmas: np.ndarray | None = None,
    backend: str | None = None,
) -> dict[str, float]:
    """AP and AR of keypoints over OKS thresholds 0.5 to 0.95.

    Args:
      ground_truth: a COCO keypoint file (`person_keypoints_val2017.json`, or one of the same form).
      detections: COCO results, or a file of them: {"image_id", "category_id", "keypoints" [3K], "score"}.
      sigmas: float [K]; None takes COCO's 17.
      backend: "pycocotools" or "faster_coco_eval"; None takes the first that is installed.

    Returns:
      `STATISTICS` in 0..1; NaN where no person is of that size.

    Raises:
      InputError: where neither package is installed, a file is at fault, or no detection is of an image of the ground
        truth.
    """
    coco_class, evaluator_class = _backend(backend)
    content = read_json(ground_truth)
    name = "detections"
    if isinstance(detections, (str, pathlib.Path)):
        name, detections = str(detections), read_json(detections)
    if not isinstance(content, dict) or not {"images", "annotations", "categories"} <= content.keys():
        raise InputError(f"{ground_truth}: is no COCO keypoint file; it needs images, annotations and categories")
    finite(content["annotations"], f"{ground_truth}: annotations")
    finite(detections, name)
    count = len(sigmas) if sigmas is not None else 17
    try:
        known = {image["id"] for image in content["images"]}
        if not any(detection["image_id"] in known for detection in detections):
            raise InputError(f"{name}: no detection is of an image of {ground_truth}; are they of one data set?")
        for number, detection in enumerate(detections):
            if len(detection["keypoints"]) != 3 * count:
                raise InputError(
                    f"{name}: [{number}] has {len(detection['keypoints'])} keypoint numbers, not {3 * count}"
                )
        detections = [
            dict(entry) for entry in detections if entry["image_id"] in known
        ]  # both packages write into them
        with contextlib.redirect_stdout(io.StringIO()):  # the evaluator prints a table
            truth = coco_class()
            truth.dataset = content
            truth.createIndex()
            evaluator = evaluator_class(truth, truth.loadRes(detections), "keypoints")
            if sigmas is not None:
                evaluator.params.kpt_oks_sigmas = np.asarray(sigmas, float)
            evaluator.evaluate()
            evaluator.accumulate()
            evaluator.summarize()
    except (KeyError, TypeError, IndexError, ValueError, AttributeError, AssertionError) as error:
        raise InputError(f"{ground_truth}, {name}: malformed ({type(error).__name__}: {error})") from error
    values = np.asarray(evaluator.stats[: len(STATISTICS)], float)
    if values[0] < 0:
        raise InputError(f"{ground_truth}: holds no person with keypoints; is it a keypoint file?")
    return dict(zip(STATISTICS, np.where(values < 0, np.nan, values).tolist()))


def _backend(name: str | None) -> tuple[type, type]:
    if name is not None and name not in BACKENDS:
        raise InputError(f"backend={name!r} is not known; use one of {', '.join(BACKENDS)}")
    for candidate in [name] if name else BACKENDS:
        coco_module, eval_module, coco_name, eval_name = BACKENDS[candidate]
        try:
            return (
                getattr(importlib.import_module(coco_module), coco_name),
                getattr(importlib.import_module(eval_module), eval_name),
            )
        except ImportError:
            continue
    raise InputError("OKS AP needs pycocotools or faster-coco-eval; install with pip install 'jmpose-jax[coco]'")
