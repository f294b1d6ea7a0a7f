"""What long runs on several hosts pay: for a second process, for a checkpoint, and for a start after a stop.

    taskset -c 0,1 python -m benchmarks.long_runs --output benchmarks/results/long_runs.json --page docs/benchmarks.md

Each figure comes from `jmpose train` itself, on a few rendered clips: step times are the times between the lines of
`metrics.jsonl`. The count of kills in its table is that of `python -m benchmarks.faults`.
"""

import argparse
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from benchmarks import small_run
from benchmarks.measure import machine, write_between_markers
from jmpose_jax.files import write_json

RESULTS = pathlib.Path(__file__).parent / "results"
BACKBONE = "configs/backbone.py:tiny"
# Processes, and devices of each, over the same cores.
KINDS = {"one process": (1, 1), "one process of two devices": (1, 2), "two processes": (2, 1)}
TEMPORARY = "*orbax-checkpoint-tmp*"


class Run:
    """A training in processes of its own, and when what happened in it."""

    def __init__(
        self,
        workdir: pathlib.Path,
        root: pathlib.Path,
        config: str,
        settings: dict[str, Any],
        *,
        processes: int = 1,
        devices: int = 1,
        cache: pathlib.Path | None = None,
    ):
        """Start it.

        Args:
          workdir: of the run.
          root: of the prepared clips.
          config: file and variant.
          settings: keys of the config and what they are changed to.
          processes: how many.
          devices: of each process.
          cache: of compiled programs; that of the environment by default.
        """
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        settings = {"dataset.root": root, "dataset.num_threads": 1, "train.log_every": 1, **settings}
        overrides = [f"--config.{key}={value}" for key, value in settings.items()]
        environment = {**os.environ, "JAX_NUM_CPU_DEVICES": str(devices)}
        if cache is not None:
            environment["JAX_COMPILATION_CACHE_DIR"] = str(cache)
        command = [sys.executable, "-m", "experiments.cli", "train", "--config", config, "--workdir", str(workdir)]
        joined = [f"--coordinator=127.0.0.1:{port}", f"--num_processes={processes}"] if processes > 1 else []
        self.workdir, self.began = workdir, time.monotonic()
        self.lines: list[tuple[float, int]] = []  # when a step was logged, which
        self.saves: list[tuple[float, float]] = []  # when a save began and ended
        self._size = 0
        self._seen = self._steps() or 0
        self._processes = [
            subprocess.Popen(
                [*command, *overrides, *joined, *([f"--process_id={number}"] if joined else [])],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for number in range(processes)
        ]

    def _steps(self) -> int | None:
        """The last step that is logged, where something was logged since the last look."""
        path = self.workdir / "metrics.jsonl"
        if not path.exists() or path.stat().st_size == self._size:
            return None
        self._size = path.stat().st_size
        text = path.read_text()
        return json.loads(text.splitlines()[-1])["step"] if text.endswith("}\n") else None

    def watch(self, until_step: int | None = None) -> "Run":
        """Look on until the end, or until a step is logged; the run is then stopped."""
        saving = None
        while any(p.poll() is None for p in self._processes):
            now, step = time.monotonic(), self._steps()
            if step is not None and step > self._seen:
                self.lines.append((now, step))
                self._seen = step
                if until_step is not None and step >= until_step:
                    break
            is_saving = any((self.workdir / "checkpoints").glob(TEMPORARY))
            if is_saving and saving is None:
                saving = now
            elif not is_saving and saving is not None:
                self.saves.append((saving, now))
                saving = None
            time.sleep(0.004)
        for process in self._processes:
            process.terminate()
            said = process.communicate()[1]
            if process.returncode not in (0, 75):
                raise RuntimeError(f"a run ended with status {process.returncode}: {said[-2000:]}")
        return self

    def steps(self, after: int = 3) -> list[tuple[float, bool]]:
        """Seconds of each step from the `after`-th on, and whether a save ran for the half of it or more."""
        found = []
        for (start, _), (end, _) in zip(self.lines[after:], self.lines[after + 1 :]):
            overlap = sum(max(0.0, min(end, t) - max(start, s)) for s, t in self.saves)
            found.append((end - start, overlap > 0.5 * (end - start)))
        return found


def processes(folder: pathlib.Path, root: pathlib.Path, steps: int, rounds: int) -> dict[str, Any]:
    """Step seconds of the tiny backbone as one process of one device, one of two, and two of one; in turns."""
    medians: dict[str, list[float]] = {name: [] for name in KINDS}
    for number in range(rounds):
        for name, (count, devices) in KINDS.items():
            workdir = folder / f"processes-{number}-{name.replace(' ', '_')}"
            settings = {"train.batch_size": 32, "train.steps": steps, "train.save_every": steps}
            run = Run(workdir, root, BACKBONE, settings, processes=count, devices=devices).watch()
            medians[name].append(statistics.median(seconds for seconds, _ in run.steps()))
    best = {name: min(values) for name, values in medians.items()}
    result = {f"{name}, ms": 1e3 * value for name, value in best.items()}
    result["overhead, ms"] = 1e3 * (best["two processes"] - best["one process of two devices"])
    result["overhead"] = best["two processes"] / best["one process of two devices"] - 1
    return result


def checkpoints(folder: pathlib.Path, root: pathlib.Path, width: int, steps: int) -> dict[str, Any]:
    """Step seconds while a save runs and while none does, of the tiny backbone at some width."""
    settings = {"train.batch_size": 16, "train.steps": steps, "train.save_every": 20, "model.backbone.width": width}
    run = Run(folder / f"saves-{width}", root, BACKBONE, settings).watch()
    times = run.steps()
    saving, free = ([seconds for seconds, during in times if during is wanted] for wanted in (True, False))
    base = statistics.median(free)
    size = sum(f.stat().st_size for f in (run.workdir / "checkpoints" / str(steps)).rglob("*") if f.is_file())
    last = run.lines[-1][0]
    saves = sum(began < last for began, _ in run.saves)
    return {
        "width": width,
        "checkpoint, MB": size / 1e6,
        "a save, s": statistics.median(end - start for start, end in run.saves),
        "step, ms": 1e3 * base,
        "step while saving, ms": 1e3 * statistics.median(saving) if saving else None,
        "ratio": statistics.median(saving) / base if saving else None,
        "steps while saving": len(saving),
        "lost a save, s": (sum(seconds for seconds, _ in times) - base * len(times)) / saves,
    }


def restart(folder: pathlib.Path, root: pathlib.Path, config: str) -> dict[str, Any]:
    """Seconds from the command to the first step: nothing compiled before, and started again after SIGTERM."""
    name = config.rpartition("/")[2].replace(":", "_")
    settings = {"train.batch_size": 8, "train.steps": 1000, "train.save_every": 1}
    seconds = []
    for _ in range(2):
        run = Run(folder / f"restart-{name}", root, config, settings, cache=folder / f"cache-{name}").watch(1)
        seconds.append(run.lines[0][0] - run.began)
    return {"config": config, "first start, s": seconds[0], "restart, s": seconds[1]}


def table(result: dict[str, Any], kills: dict[str, Any] | None) -> str:
    """The table of docs/benchmarks.md."""
    pair = result["processes"]
    times = ", ".join(f"{pair[f'{name}, ms']:.0f}" for name in KINDS)
    lines = [
        "| what | measured |",
        "|---|---|",
        f"| a step of the tiny backbone, batch 32: {', '.join(KINDS)} | {times} ms: the second process costs "
        f"{100 * pair['overhead']:.0f} % |",
    ]
    for row in result["checkpoints"]:
        during = "no whole step" if row["ratio"] is None else f"{row['ratio']:.2f} of a step without"
        lines.append(
            f"| a step while a checkpoint of {row['checkpoint, MB']:.0f} MB is saved ({row['a save, s']:.2f} s) | "
            f"{during}; {row['lost a save, s']:.2f} s lost a save |"
        )
    for row in result["restart"]:
        lines.append(
            f"| from the command to the first step, {row['config'].rpartition('/')[2]}: first start, restart with the "
            f"compilation cache | {row['first start, s']:.0f} s, {row['restart, s']:.0f} s |"
        )
    if kills:
        killed, exact = sum(kills["kills"].values()), sum(kills["exact"].values())
        moments = ", ".join(f"{n} {name}" for name, n in kills["kills"].items())
        lines.append(f"| kill -9 at random moments ({moments}) | {exact} of {killed} resume exactly |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=pathlib.Path, default=RESULTS / "long_runs.json")
    parser.add_argument("--page", type=pathlib.Path, help="Markdown file with the markers to put the table between")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(folder / "cache"))
        root = small_run.prepare(folder)
        result = {
            "processes": processes(folder, root, arguments.steps, arguments.rounds),
            "checkpoints": [checkpoints(folder, root, width, 2 * arguments.steps) for width in (16, 128)],
            "restart": [restart(folder, root, f"configs/{name}.py:tiny") for name in ("backbone", "jmpose")],
        }
    write_json(arguments.output, result | machine("flax", "orbax-checkpoint"))
    print(json.dumps(result, indent=1))
    if arguments.page:
        kills = RESULTS / "kills.json"
        found = json.loads(kills.read_text()) if kills.is_file() else None
        write_between_markers("long_runs", table(result, found), arguments.page)


if __name__ == "__main__":
    main()
