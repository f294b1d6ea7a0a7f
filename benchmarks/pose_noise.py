"""How a trained estimator errs over time, as a noise model: the numbers of `data_pipeline/sequences/noise.py`.

  jmpose evaluate --workdir runs/backbone --config.dataset.eval_split=val     # on videos of some length, all labelled
  python -m benchmarks.pose_noise --data PREPARED --predictions runs/backbone/predictions --split val \
    --output benchmarks/results/pose_noise.json

Any predictions in PoseTrack18 form with their ground truth will do. How well the model stands for the estimator is
shown beside: MPJPE, acceleration error and PCK of the estimates, and of what the model draws on the same true poses.
"""

import argparse
import dataclasses
from typing import Any

import numpy as np

from benchmarks.measure import machine
from data_pipeline.sequences.noise_fit import Fit, fit
from data_pipeline.sequences.posetrack import read_posetrack
from data_pipeline.sequences.records import SequenceSet, mirror_pairs
from jmpose_jax.files import finite_or_none, write_json
from jmpose_jax.metrics.pose_sequences import score_sequences
from jmpose_jax.refinement.coordinates import body_size
from jmpose_jax.refinement.gaps import filled, known_joints


def measure(data: SequenceSet, seed: int = 0) -> dict[str, Any]:
    """The noise model of a split's estimates, and the figures of both."""
    pairs = mirror_pairs(data.joints)
    found = fit([each.poses for each in data.sequences], [each.target for each in data.sequences], pairs)
    drawn = redrawn(data, found, pairs, seed)
    truth, scales = [each.target for each in data.sequences], [each.scale for each in data.sequences]
    rows = {
        "estimates": score_sequences([each.poses for each in data.sequences], truth, scales),
        "drawn from the model": score_sequences(drawn, truth, scales),
    }
    described = dataclasses.asdict(found)
    return {
        "noise": described.pop("model"),
        "fit": described,
        "sequences": len(data.sequences),
        "frames": int(data.lengths.sum()),
        "scores": {name: finite_or_none(scores.mean) for name, scores in rows.items()},
    }


def redrawn(data: SequenceSet, found: Fit, pairs: tuple[tuple[int, int], ...], seed: int) -> list[np.ndarray]:
    """The true poses as the model would estimate them; NaN where the truth is not known."""
    rng, drawn = np.random.default_rng(seed), []
    for sequence in data.sequences:
        known = known_joints(sequence.target)
        whole = filled(sequence.target, known)
        poses = found.model.estimate(whole, body_size(whole, known), pairs, rng)
        drawn.append(np.where(known[..., None], poses, np.nan))
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="output of `jmpose prepare`")
    parser.add_argument("--predictions", required=True, help="folder of result files")
    parser.add_argument("--split", default="val")
    parser.add_argument("--output", required=True)
    given = parser.parse_args()
    result = measure(read_posetrack(given.data, given.predictions, given.split))
    write_json(given.output, result | {"machine": machine("scipy")})
    for name, value in result["noise"].items():
        print(f"{name:15} {value:.4f}")
    for name, scores in result["scores"].items():
        print(name, {column: value and round(value, 2) for column, value in scores.items()})


if __name__ == "__main__":
    main()
