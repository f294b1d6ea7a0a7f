"""How the filters' widths were chosen: captured motions with noise, errors and jitter for a range of each.

python -m benchmarks.refine_choice CMU_EXPMAP.npz CMU_SKELETON.json --page docs/refine.md

The motions are CMU's as exponential maps of 38 joints at 30 frames a second ({name: float [T, 117]}, and the parents
and offsets of the joints), every fifth of them, seen from the front, without the first frame of each, which is a pose
at rest that the motion jumps away from. The noise has a standard deviation of a share of
the person's size in each coordinate; half of it is left over from the frame before (0.5) or none (0). In the last
column a joint goes wrong in 2 of 100 frames, for one to three of them, by 10 to 50 % of the size.
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
from jmpose_jax.refinement.sequence import Options, Refiner, refine_sequence

FPS, LEAST, EVERY = 30.0, 40, 5
# Share of the size, what is left of the frame before, how often a joint goes wrong.
NOISE = ((0.005, 0.0, 0.0), (0.01, 0.0, 0.0), (0.01, 0.5, 0.0), (0.02, 0.5, 0.0), (0.01, 0.5, 0.02))
CANDIDATES: dict[str, Refiner | None] = {
    "as it came": None,
    **{f"one_euro {c:g} Hz, {b:g}": OneEuro(c, b) for c in (0.5, 1.0, 2.0) for b in (5.0, 15.0, 30.0)},
    **{f"savgol {window}": SavitzkyGolay(window) for window in (5, 7, 9, 11)},
    **{f"gaussian {sigma}": Gaussian(sigma) for sigma in (0.75, 1.0, 1.5, 2.0)},
}
REJECTED = {"one_euro 1 Hz, 15": OneEuro(), "savgol 9": SavitzkyGolay(9), "gaussian 1.5": Gaussian(1.5)}
STRENGTHS = (3.0, 5.0)


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


def wrong(shape: tuple[int, ...], rate: float, rng: np.random.Generator) -> np.ndarray:
    """How far joints float [T, K, 2] are beside where they are, in sizes of the person; mostly 0."""
    found = np.zeros(shape)
    for frame, joint in np.argwhere(rng.random(shape[:2]) < rate):
        angle, far = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.5)
        found[frame : frame + rng.integers(1, 4), joint] = far * np.cos(angle), far * np.sin(angle)
    return found


def measure(
    motions: list[np.ndarray], refiner: Refiner | None, share: float, kept: float, rate: float, reject: float | None
) -> tuple[float, float]:
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
        if rate:
            seen = seen + size * wrong(true.shape, rate, rng)
        found = seen if refiner is None else refine_sequence(seen, valid, FPS, refiner, Options(reject=reject)).poses
        move = np.where(np.isnan(found), seen, found) - true  # an outlier that cannot be filled stays
        errors.append(np.linalg.norm(move, axis=-1).mean() / size)
        jitters.append(np.linalg.norm(np.diff(move, n=2, axis=0), axis=-1).mean() / size)
    return 100 * float(np.mean(errors)), 100 * float(np.mean(jitters))


def table(result: dict[str, Any]) -> str:
    """The Markdown table of the page."""
    heads = [
        f"noise {100 * share:g} %{', half kept' if kept else ''}{', outliers' if rate else ''}"
        for share, kept, rate in NOISE
    ]
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
        places(rows[1:].astype(np.float64), skeleton["parent"], np.array(skeleton["offset"]))
        for rows in arrays
        if len(rows) > LEAST
    ]
    result = {
        "machine": machine("scipy", "numpy"),
        "motions": len(motions),
        "frames": sum(map(len, motions)),
        "candidates": {
            name: [measure(motions, refiner, *noise, reject) for noise in NOISE]
            for name, refiner, reject in (
                *((name, refiner, None) for name, refiner in CANDIDATES.items()),
                *((f"{name}, reject {s:g}", refiner, s) for name, refiner in REJECTED.items() for s in STRENGTHS),
            )
        },
    }
    publish("refine_choice", result, table(result), arguments.output, arguments.page)


if __name__ == "__main__":
    main()
