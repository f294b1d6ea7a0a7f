"""Kill -9 at random moments of a training, starting, stepping and inside a save: how many of the kills it survives.

A training of the image backbone on a few rendered clips is run once undisturbed. Then it is started, killed, started
again, killed, …; after every kill the losses that it has logged must be those of the undisturbed run, bit for bit.

    python -m benchmarks.faults --kills 50
"""

import argparse
import json
import multiprocessing
import os
import pathlib
import random
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks import small_run
from benchmarks.measure import machine
from jmpose_jax.files import write_json

MOMENTS = ("starting", "stepping", "saving")
KILLED = -9  # exit code of a process that SIGKILL ended
TEMPORARY = "*orbax-checkpoint-tmp*"  # a checkpoint that is being written
PATIENCE = 600.0  # seconds for anything to happen

Losses = Mapping[int, Mapping[str, float]]


def server() -> Any:
    """A multiprocessing context whose processes begin with the libraries imported: a start takes seconds less."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["experiments.train"])
    return context


def logged_losses(workdir: pathlib.Path) -> dict[int, dict[str, float]]:
    """Losses and gradient norm by step, of the whole lines of `metrics.jsonl`."""
    path = workdir / "metrics.jsonl"
    found = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            content = json.loads(line)
        except json.JSONDecodeError:
            continue  # the line that the kill cut short
        found[content["step"]] = {k: v for k, v in content.items() if k.startswith("loss/") or k == "gradient_norm"}
    return found


def kill_and_resume(
    start: Callable[[pathlib.Path], Any],
    workdir: pathlib.Path,
    expected: Losses,
    moments: list[str],
    rng: random.Random,
) -> dict[str, Any]:
    """Kill a run once at each moment, start it again each time, and let it end.

    Args:
      start: starts the run on a workdir, a process of multiprocessing.
      workdir: empty; gets a folder a round, a round being a run from nothing to its end.
      expected: losses of every step of the undisturbed run.
      moments: of `MOMENTS`, in order.
      rng: chooses within them.

    Returns:
      "kills" and "exact" by moment, "starts", how many of them had a checkpoint to go on from, "steps" logged in all
      lives, and "faults", a line each.
    """
    kills, exact = dict.fromkeys(MOMENTS, 0), dict.fromkeys(MOMENTS, 0)
    faults: list[str] = []
    starts, resumed, steps, rounds = 0, 0, 0, 0
    folder = workdir / "0"
    pending: str | None = None  # the moment of the last kill, whose resumption is not yet judged
    ready = 5.0  # seconds from start to first step, learnt
    left = list(moments)
    while left or pending:
        before = len(logged_losses(folder))
        resumed += bool(_checkpoints(folder))
        process, began = start(folder), time.monotonic()
        starts += 1
        moment = left.pop(0) if left else None
        first_step = _wait_for(moment, process, folder, ready, rng)
        if moment is not None:
            process.kill()
        process.join()
        found = logged_losses(folder)
        steps += max(len(found) - before, 0)
        if first_step is not None:
            ready = first_step - began
        fault = _fault(process.exitcode, found, expected)
        if fault:
            faults.append(f"start {starts} ({moment or 'to the end'}): {fault}")
        if pending:
            exact[pending] += not fault
        if process.exitcode == KILLED:
            pending, kills[moment] = moment, kills[moment] + 1
            continue
        if fault:
            break
        pending = None
        if moment is not None:
            left.insert(0, moment)  # it ended before the kill came
        rounds += 1
        folder = workdir / str(rounds)
    return {"kills": kills, "exact": exact, "starts": starts, "resumed": resumed, "steps": steps, "faults": faults}


def _wait_for(moment: str | None, process: Any, folder: pathlib.Path, ready: float, rng: random.Random) -> float | None:
    """Return at the moment to kill, or when the process has ended: when it logged its first step, if it was seen to."""
    began = time.monotonic()
    if moment == "starting":
        process.join(rng.uniform(0.0, ready))
        return None
    first_step = None
    metrics = folder / "metrics.jsonl"
    old = _checkpoints(folder)
    size = None
    after = rng.uniform(0.0, 0.3)
    while process.is_alive() and time.monotonic() - began < PATIENCE:
        now = metrics.stat().st_size if metrics.exists() else 0
        if size is None or now < size:
            size = now  # the writer drops what is later than the checkpoint, then appends
        elif now > size and first_step is None:
            first_step = time.monotonic()
        # Not before this life has saved once: the next one must have something new to go on from.
        if first_step is not None and _checkpoints(folder) - old:
            if moment == "stepping":
                time.sleep(after)
                break
            if moment == "saving" and any((folder / "checkpoints").glob(TEMPORARY)):
                time.sleep(rng.uniform(0.0, 0.03))
                break
        time.sleep(0.002)
    return first_step


def _checkpoints(folder: pathlib.Path) -> set[str]:
    """The steps that are saved."""
    return {path.name for path in (folder / "checkpoints").glob("*") if path.name.isdigit()}


def _fault(status: int, found: Losses, expected: Losses) -> str:
    """What is wrong with a life of the run; empty where nothing is."""
    if status not in (0, KILLED):
        return f"ended with status {status}"
    different = [step for step in found if found[step] != expected.get(step)]
    if different:
        return f"losses differ from step {min(different)} on"
    if status == 0 and sorted(found) != sorted(expected):
        return f"ended with {len(found)} of {len(expected)} steps"
    return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--steps", type=int, default=120, help="of a whole run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", default="benchmarks/results/kills.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(folder / "cache"))
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        root = small_run.prepare(folder)
        context = server()

        def start(workdir: pathlib.Path, save_every: int = 2) -> Any:
            settings = {"steps": arguments.steps, "save_every": save_every}
            process = context.Process(target=small_run.train, args=(str(root), str(workdir)), kwargs=settings)
            process.start()
            return process

        undisturbed = start(folder / "undisturbed", save_every=arguments.steps)
        undisturbed.join()
        if undisturbed.exitcode:
            sys.exit(f"the undisturbed run ended with status {undisturbed.exitcode}")
        rng = random.Random(arguments.seed)
        moments = [MOMENTS[i % len(MOMENTS)] for i in range(arguments.kills)]
        began = time.monotonic()
        found = kill_and_resume(start, folder / "killed", logged_losses(folder / "undisturbed"), moments, rng)
    result = {**found, "seconds": round(time.monotonic() - began, 1), **machine("flax", "orbax-checkpoint", "grain")}
    killed, exact = sum(found["kills"].values()), sum(found["exact"].values())
    print(f"{exact} of {killed} resume exactly ({found['exact']} of {found['kills']})", *found["faults"], sep="\n")
    write_json(pathlib.Path(arguments.output), result)
    sys.exit(exact != killed)


if __name__ == "__main__":
    main()
