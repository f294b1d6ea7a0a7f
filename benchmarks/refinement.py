"""HANet beside M-HANet, DeciWatch, SmoothNet and filters: poses refined, on motions that none was trained on.

  python -m benchmarks.refinement --root MOCAP_CMU --workdir runs/refinement --steps 1000 \
    --output benchmarks/results/refinement.json
  python -m benchmarks.refinement --root MOCAP_CMU --filters_only --output benchmarks/results/refinement.json
  python -m benchmarks.refinement --variant embedded_2d --root PREPARED --estimates FOLDER \
    --workdir runs/refinement_2d --steps 1500 --output benchmarks/results/refinement_2d.json

Every network is trained by the variant of `configs/hanet.py`, a seed a run, and scored on the test split, whose
estimates are the same for all. The filters are those of `jmpose refine`, each at the strength that is best on the
training split; `--filters_only` measures them anew and leaves the networks' rows of the file as they are.
"""

import argparse
import dataclasses
import json
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.measure import machine, publish
from configs import hanet
from data_pipeline.sequences.loader import Split
from data_pipeline.sequences.motions import FPS
from experiments.evaluation import kinematics
from experiments.run import sequences
from experiments.train import train
from jmpose_jax.errors import InputError
from jmpose_jax.files import write_json
from jmpose_jax.refinement.filters import Gaussian, OneEuro, SavitzkyGolay
from jmpose_jax.refinement.gaps import filled, known_joints
from jmpose_jax.refinement.sequence import Refiner

TEST = "test"
NETWORKS = {"HANet": "", "M-HANet": ",masked", "DeciWatch": ",deciwatch", "SmoothNet": ",smoothnet"}
SIGMAS = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0)  # frames
LENGTHS = (5, 9, 13, 17, 25, 33, 45)  # frames
CUTOFFS, BETAS = (0.1, 0.25, 0.5, 1.0), (0.1, 0.5, 2.0, 5.0, 15.0)  # Hz; Hz a body size per second


@dataclasses.dataclass(frozen=True)
class Data:
    """What is refined.

    Attributes:
      variant: of `configs/hanet.py`.
      root: the variant's data; empty for motions that are made.
      estimates: folder of predictions, where the variant reads some.
    """

    variant: str = "embedded_3d"
    root: str = ""
    estimates: str = ""

    def config(self, words: str = "", steps: int = 1, seed: int = 0) -> Any:
        """The config of a network's run; `words` stand behind the variant."""
        config = hanet.get_config(f"{self.variant}{words}")
        config.dataset.root, config.dataset.estimates, config.seed = self.root, self.estimates, seed
        config.dataset.eval_split = TEST
        config.train.steps = config.train.save_every = steps
        config.train.log_every = max(steps // 10, 1)
        return config


def filters() -> dict[str, list[tuple[str, Refiner]]]:
    """Each filter at its strengths: name -> (strength, filter)."""
    return {
        "Gaussian": [(f"sigma {s:g}", Gaussian(s)) for s in SIGMAS],
        "Savitzky-Golay": [(f"{n} frames, degree 2", SavitzkyGolay(n)) for n in LENGTHS],
        "One-Euro": [(f"{c:g} Hz, beta {b:g}", OneEuro(c, b)) for c in CUTOFFS for b in BETAS],
    }


def filtered(split: Split, refiner: Refiner) -> dict[str, float]:
    """The columns of all sequences of a split, filtered; gaps stand on straight lines first, as for a network."""
    refined = []
    for place in range(len(split.data.sequences)):
        given = split.poses(place)
        whole = filled(given, known_joints(given)).astype(np.float64)
        refined.append(refiner(whole, np.ones(whole.shape[:2], bool), FPS))
    return kinematics.columns(kinematics.score(split, refined), split)


def unfiltered(split: Split) -> dict[str, float]:
    """The columns of the estimates as they are; gaps count nowhere."""
    given = [split.poses(place) for place in range(len(split.data.sequences))]
    return kinematics.columns(kinematics.score(split, given), split)


def measure(
    data: Data,
    workdir: pathlib.Path,
    steps: int,
    seeds: tuple[int, ...],
    networks: list[str],
    tell: Callable[[dict[str, Any]], None] = lambda result: None,
) -> dict[str, Any]:
    """Train and score everything; `tell` gets what is there after each run. See the module."""
    result = {"steps": steps} | filters_alone(data)
    rows = result["rows"]
    runs: dict[str, dict[int, dict[str, float]]] = {name: {} for name in networks}
    for seed in seeds:
        for name in networks:
            config, folder = data.config(NETWORKS[name], steps, seed), workdir / f"{name}_{seed}"
            train(config, folder, quiet=True)
            scored = kinematics.evaluate(config, folder, folder, if_exists="replace")
            runs[name][seed] = scored[kinematics.MEASURE.field][config.model.name]
            print(name, seed, {column: round(value, 2) for column, value in runs[name][seed].items()}, flush=True)
            rows[name] = _over_seeds(runs[name])
            tell(result)
    return result


def filters_alone(data: Data) -> dict[str, Any]:
    """What needs no training: the noise, how many sequences there are, and the rows of the input and the filters."""
    base = data.config()
    tried, split = (sequences.evaluated(base, name) for name in (base.dataset.train_split, TEST))
    rows: dict[str, Any] = {"input": {"mean": unfiltered(split)}}
    for name, strengths in filters().items():
        best = min(strengths, key=lambda strength: filtered(tried, strength[1])["MPJPE"])
        rows[name] = {"strength": best[0], "mean": filtered(split, best[1])}
    counts = {"train": len(tried.data.sequences), "test": len(split.data.sequences)}
    noise = None if sequences.noise(base) is None else dict(base.dataset.noise)
    return {"data": data.variant, "noise": noise, "sequences": counts, "rows": rows}


def with_filters(earlier: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """An earlier result with the rows of `filters_alone` in place of its own; the networks' stay, behind them.

    Raises:
      InputError: it is of other data or another noise, with which these rows cannot stand beside its networks'.
    """
    for name in ("data", "noise", "sequences"):
        if earlier.get(name) != found[name]:
            raise InputError(f"--output: its {name} is {earlier.get(name)}, here {found[name]}; give another file")
    networks = {name: row for name, row in earlier["rows"].items() if name in NETWORKS}
    return earlier | {"rows": found["rows"] | networks}


def _over_seeds(runs: dict[int, dict[str, float]]) -> dict[str, Any]:
    columns = {column: np.array([run[column] for run in runs.values()]) for column in next(iter(runs.values()))}
    return {
        "mean": {column: float(values.mean()) for column, values in columns.items()},
        "spread": {column: float(np.ptp(values)) for column, values in columns.items()},
        "seeds": {str(seed): run for seed, run in runs.items()},
    }


def table(result: dict[str, Any]) -> str:
    """The rows in Markdown: means over seeds, and how far the seeds lie apart."""
    columns = list(result["rows"]["input"]["mean"])
    lines = [f"| | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for name, row in result["rows"].items():
        label = f"{name} ({row['strength']})" if "strength" in row else name
        spread = row.get("spread", {})
        cells = (f"{row['mean'][c]:.1f}" + (f" ({spread[c]:.1f})" if spread else "") for c in columns)
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", choices=("embedded_3d", "embedded_2d"), default="embedded_3d")
    parser.add_argument("--root", default="", help="folder of motion files, or the variant's; motions are made without")
    parser.add_argument("--estimates", default="", help="of embedded_2d: folder of predictions, a folder a split")
    parser.add_argument("--workdir", help="of the trainings; runs that are there already go on")
    parser.add_argument("--filters_only", action="store_true", help="train nothing: the rows of filters in --output")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument(
        "--page", type=pathlib.Path, help="file whose table of the variant, between markers, is replaced"
    )
    given = parser.parse_args()
    data = Data(given.variant, given.root, given.estimates)
    if given.filters_only:
        kept = with_filters(json.loads(given.output.read_text()), filters_alone(data))
        publish(given.variant, kept, table(kept), given.output, given.page)
        return
    if not given.workdir:
        parser.error("--workdir is needed for trainings; give it, or --filters_only")
    about = {"root": pathlib.Path(given.root).name or "made", "machine": machine("flax", "optax")}

    def tell(result: dict[str, Any]) -> None:
        write_json(given.output, about | result)

    workdir = pathlib.Path(given.workdir)
    result = measure(data, workdir, given.steps, tuple(given.seeds), given.networks, tell)
    publish(given.variant, about | result, table(result), given.output, given.page)


if __name__ == "__main__":
    main()
