"""Files in the layout of DeciWatch's data, made of random numbers."""

import numpy as np

SIZES = {"jhmdb": 15 * 2, "h36m": 17 * 3, "pw3d": 17 * 3, "aist": 14 * 3}
KEYS = {"jhmdb": "joints_2d", "h36m": "joints_3d", "pw3d": "joints_3d", "aist": "joints_3d"}


def objects(entries):
    array = np.empty(len(entries), object)
    array[:] = entries
    return array


def write(folder, name, split="train", lengths=(12, 7), estimator="est", seed=0, off=0.0, videos=None, **more):
    """Both files of a split; returns what they hold: true poses and estimates."""
    rng = np.random.default_rng(seed)
    scale = 100.0 if name == "jhmdb" else 0.3
    truth = [rng.uniform(0, scale, (length, SIZES[name])) for length in lengths]
    found = [each + off + rng.normal(0, 0.02 * scale, each.shape) for each in truth]
    videos = videos or [f"{split}/video{i}" for i in range(len(lengths))]
    names = objects([np.array([f"{v}/{j:05d}.png" for j in range(n)]) for v, n in zip(videos, lengths)])
    shared = {"imgname": names}
    boxes = {}
    if name == "jhmdb":
        boxes = {
            "imgshape": objects([np.array([240, 320, 3])] * len(lengths)),
            "bbox": objects([np.tile(np.array([10, 20, 60, 110]), (n, 1)) for n in lengths]),
        }
    pose = {}
    if name in ("pw3d", "aist"):
        pose = {"pose": objects([rng.normal(0, 0.5, (n, 72)) for n in lengths])}
    a = folder / "groundtruth_poses" / name / f"{name}_gt_{split}.npz"
    b = folder / "detected_poses" / name / estimator / f"{name}_{estimator}_{split}.npz"
    for path in (a, b):
        path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(a, **{KEYS[name]: objects(truth)}, **shared, **boxes, **pose, **more)
    np.savez(b, **{KEYS[name]: objects(found)}, **shared, **pose)
    return truth, found
