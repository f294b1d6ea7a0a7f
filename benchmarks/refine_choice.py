"""How the filters' widths were chosen: captured motions with noise, errors and jitter for a range of each.

python -m benchmarks.refine_choice CMU_EXPMAP.npz CMU_SKELETON.json --page docs/refine.md

The motions are CMU's as exponential maps of 38 joints at 30 frames a second ({name: float [T, 117]}, and the parents
and offsets of the joints), every fifth of them, seen from the front. The noise has a standard deviation of a share of
the person's size in each coordinate; half of it is left over from the frame before (0.5) or none (0).
"""

import argparse
import json
import pathlib
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from benchmarks.measure import machine, publish
from jmpose_jax.npz import read_npz
from jmpose_jax.refinement.coordinates import body_size
from jmpose_jax.refinement.filters import Gaussian, OneEuro, SavitzkyGolay
from jmpose_jax.refinement.sequence import Refiner

FPS, LEAST, EVERY = 30.0, 40, 5
NOISE = ((0.005, 0.0), (0.01, 0.0), (0.01, 0.5), (0.02, 0.5))  # share of the size, what is left of the frame before
CANDIDATES: dict[str, Refiner | None] = {
    "as it came": None,
    **{f"one_euro {c:g} Hz, {b:g}": OneEuro(c, b) for c in (0.5, 1.0, 2.0) for b in (5.0, 15.0, 30.0)},
    **{f"savgol {window}": SavitzkyGolay(window) for window in (5, 7, 9, 11)},
    **{f"gaussian {sigma}": Gaussian(sigma) for sigma in (0.75, 1.0, 1.5, 2.0)},
}


def places(rows: np.ndarray, parents: list[int], offsets: np.ndarray) -> np.ndarray:
    """Joints float [T, 38, 2] of exponential maps [T, 117], the root's translation left out."""
    turns = Rotation.from_rotvec(rows[:, 3:].reshape(-1, 3)).as_matrix().reshape(len(rows), -1, 3, 3)
    found, world = np.zeros((len(rows), len(parents), 3)), np.zeros_like(turns)
    for joint, parent in enumerate(parents):
        own = turns[:, joint].swapaxes(1, 2)
        if parent < 0:
            world[:, joint] = own
            continue
        found[:, joint] = found[:, parent] + offsets[joint] @ world[:, parent]
        world[:, joint] = own @ world[:, parent]
    return found[..., :2]


def measure(motions: list[np.ndarray], refiner: Refiner | None, share: float, kept: float) -> tuple[float, float]:
    """(mean error, mean error of the acceleration), in percent of the person's size."""
    rng = np.random.default_rng(0)
    errors, jitters = [], []
    for true in motions:
        valid = np.ones(true.shape[:2], bool)
        size = body_size(true, valid)
        noise = rng.normal(size=true.shape)
        for t in range(1, len(noise)):
            noise[t] = kept * noise[t - 1] + np.sqrt(1 - kept**2) * noise[t]
        seen = true + share * size * noise
        move = (seen if refiner is None else refiner(seen, valid, FPS)) - true
        errors.append(np.linalg.norm(move, axis=-1).mean() / size)
        jitters.append(np.linalg.norm(np.diff(move, n=2, axis=0), axis=-1).mean() / size)
    return 100 * float(np.mean(errors)), 100 * float(np.mean(jitters))


def table(result: dict[str, Any]) -> str:
    """The Markdown table of the page."""
    heads = [f"noise {100 * share:g} %{', half kept' if kept else ''}" for share, kept in NOISE]
    rows = [
        f"Error / acceleration error in percent of the person's size; {result['motions']} motions of CMU, "
        f"{result['frames']:,} frames. Defaults in bold.",
        "",
        f"| | {' | '.join(heads)} |",
        f"|---|{'---|' * len(heads)}",
    ]
    defaults = {"one_euro 1 Hz, 15", "savgol 9", "gaussian 1.5"}
    for name, found in result["candidates"].items():
        shown = f"**{name}**" if name in defaults else name
        rows.append(f"| {shown} | {' | '.join(f'{error:.2f} / {jitter:.2f}' for error, jitter in found)} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("motions", type=pathlib.Path)
    parser.add_argument("skeleton", type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path)
    parser.add_argument("--page", type=pathlib.Path)
    arguments = parser.parse_args()
    skeleton = json.loads(arguments.skeleton.read_text())
    arrays = list(read_npz(arguments.motions).values())[::EVERY]
    motions = [
        places(rows.astype(np.float64), skeleton["parent"], np.array(skeleton["offset"]))
        for rows in arrays
        if len(rows) > LEAST
    ]
    result = {
        "machine": machine("scipy", "numpy"),
        "motions": len(motions),
        "frames": sum(map(len, motions)),
        "candidates": {
            name: [measure(motions, refiner, *noise) for noise in NOISE] for name, refiner in CANDIDATES.items()
        },
    }
    publish("refine_choice", result, table(result), arguments.output, arguments.page)


if __name__ == "__main__":
    main()
