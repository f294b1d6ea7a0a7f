"""Ctrl-C and SIGTERM at random moments of a training's life, imports and teardown included: how each life ends.

One to six signals, to the process or to its whole group as a terminal sends them. Every life must end soon, with the
documented status and lines, and the runs must go on exactly.

    python -m benchmarks.signals --lives 100
"""

import argparse
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks import small_run
from benchmarks.faults import logged_losses
from benchmarks.measure import machine
from jmpose_jax.files import write_json

PATIENCE = 60.0  # seconds, a tenth of what an undisturbed life may take
SOON = 20.0  # seconds in which a small training must end after its first signal
# What must not be seen. (Grain 0.2.18 itself leaves shared memory to the tracker, signals or not.)
RIDDLES = r"Traceback|Exception ignored|Fatal Python|Segmentation fault|core dumped|terminate called|leaked sema"
STATUSES = {signal.SIGINT: {0, 130}, signal.SIGTERM: {0, 75, 143}}


def life(
    command: Sequence[str],
    log: pathlib.Path,
    environment: Mapping[str, str],
    delay: float,
    signals: Sequence[tuple[int, float]],
    group: bool,
) -> dict[str, Any]:
    """Start a command, send it signals, and see how it ends.

    Args:
      command: a training.
      log: file that gets standard error.
      environment: variables.
      delay: seconds from the moment at which the command hears signals to the first of them.
      signals: each with the seconds that follow it.
      group: send them to all processes of the command.

    Returns:
      "status", "sent" (signals before its end), "seconds" from the first to the end, "said", and "fault", one line that
      is empty where the end is as it should be.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=errors, env=environment, start_new_session=True
        )
    sent, first = [], time.monotonic()
    try:
        while process.poll() is None and not _hears(process.pid):
            time.sleep(0.005)
        _sleep(process, delay)
        first = time.monotonic()
        for number, gap in signals:
            if process.poll() is not None:
                break
            (os.killpg if group else os.kill)(process.pid, number)
            sent.append(number)
            _sleep(process, gap)
        process.wait(SOON if sent else None)
        fault = ""
    except subprocess.TimeoutExpired:
        fault = f"still there {SOON:g} s after the signal"
    seconds = time.monotonic() - first
    said = log.read_text(errors="replace")
    fault = fault or _fault(process.returncode, sent, said, _ended(process.pid))
    with_rest(process)
    return {"status": process.returncode, "sent": sent, "seconds": round(seconds, 2), "said": said, "fault": fault}


def trials(
    command: Callable[[pathlib.Path], Sequence[str]],
    folder: pathlib.Path,
    environment: Mapping[str, str],
    expected: Mapping[int, Any],
    seconds: float,
    count: int,
    rng: random.Random,
) -> dict[str, Any]:
    """Disturbed lives of runs, each of which goes on where the one before ended.

    Args:
      command: of a workdir, starts a training that logs every step.
      folder: gets a workdir a run, a run being lives from nothing to status 0, the last of them undisturbed.
      environment: variables.
      expected: losses of every step of an undisturbed run.
      seconds: that the undisturbed run took.
      count: of lives.
      rng: chooses moments, numbers and kinds.

    Returns:
      As `summarized`; a loss that differs is a fault.
    """
    lives: list[dict[str, Any]] = []
    run, ended = 0, True
    while len(lives) < count or not ended:
        workdir = folder / f"run-{run}"
        quiet = len(lives) >= count
        delay = 10 * PATIENCE if quiet else rng.uniform(0, 1.05 * seconds)
        sent = [] if quiet else random_signals(rng)
        found = life(command(workdir), folder / "log", environment, delay, sent, rng.random() < 0.5)
        losses = logged_losses(workdir)
        ended = found["status"] == 0
        run += ended
        different = sorted(step for step in losses if losses[step] != expected.get(step))
        if different and not found["fault"]:
            found["fault"] = f"losses differ from step {different[0]} on"
        if ended and sorted(losses) != sorted(expected) and not found["fault"]:
            found["fault"] = f"status 0 with {len(losses)} of {len(expected)} steps"
        lives.append(found)
        if quiet and not ended:
            break
    return summarized(lives)


def random_signals(rng: random.Random) -> list[tuple[int, float]]:
    """One to six signals of one kind with short pauses."""
    number = rng.choice((signal.SIGINT, signal.SIGTERM))
    return [(number, rng.choice((0.0, 0.01, rng.uniform(0, 0.5)))) for _ in range(rng.randint(1, 6))]


def summarized(lives: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Counts of some lives: all, those that a signal met, their statuses, the slowest end, the faults."""
    met = [found for found in lives if found["sent"]]
    return {
        "lives": len(lives),
        "met": len(met),
        "signals": sum(len(found["sent"]) for found in met),
        "statuses": dict(sorted(Counter(str(found["status"]) for found in met).items())),
        "slowest": max((found["seconds"] for found in met), default=0.0),
        "faults": [found["fault"] for found in lives if found["fault"]],
    }


def with_rest(process: subprocess.Popen) -> None:
    """End what is left of a command."""
    if not _ended(process.pid):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _fault(status: int, sent: Sequence[int], said: str, alone: bool) -> str:
    expected = STATUSES[sent[0]] if sent else {0}
    riddle = re.search(RIDDLES, said)
    lines = [line for line in said.splitlines() if line.startswith("jmpose")]
    if status not in expected:
        return f"status {status} after {len(sent)} of signal {sent[0] if sent else 'none'}: {said[-3000:]!r}"
    if riddle:
        return f"{riddle[0]!r} in what it said (status {status}): {said[-600:]!r}"
    if status and len(lines) != 1:
        return f"{len(lines)} lines say why it ended (status {status}): {said[-300:]!r}"
    return "" if alone else f"status {status}, and processes of it live on"


def _hears(pid: int) -> bool:
    """Whether a process has a handler of SIGTERM: Python alone has none."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    caught = re.search(r"^SigCgt:\s*([0-9a-f]+)", status, re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)


def _ended(group: int) -> bool:
    """Whether no process of a group is left; one that was told to end gets a moment."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def _sleep(process: subprocess.Popen, seconds: float) -> None:
    """Wait, but not for a process that has ended."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def undisturbed(
    command: Callable[[pathlib.Path], Sequence[str]], folder: pathlib.Path, environment: Mapping[str, str]
) -> tuple[dict[int, Any], float]:
    """Losses and seconds of a run that nothing disturbs, in `folder/whole`."""
    began = time.monotonic()
    found = life(command(folder / "whole"), folder / "log", environment, 10 * PATIENCE, [], False)
    if found["status"] or found["fault"]:
        raise RuntimeError(f"the undisturbed run failed: {found}")
    return logged_losses(folder / "whole"), time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lives", type=int, default=100)
    parser.add_argument("--steps", type=int, default=40, help="of a whole run")
    parser.add_argument("--workers", type=int, default=0, help="processes of the loader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", default="benchmarks/results/signals.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(folder / "cache"))
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        root = small_run.prepare(folder)

        def command(workdir: pathlib.Path) -> list[str]:
            return small_run.command(root, workdir, steps=arguments.steps, num_workers=arguments.workers)

        undisturbed(command, folder, os.environ)  # compiles
        expected, seconds = undisturbed(command, folder / "second", os.environ)
        rng = random.Random(arguments.seed)
        began = time.monotonic()
        found = trials(command, folder, os.environ, expected, seconds, arguments.lives, rng)
    settings = {"steps": arguments.steps, "workers": arguments.workers, "undisturbed_seconds": round(seconds, 1)}
    result = {
        **found,
        **settings,
        "seconds": round(time.monotonic() - began, 1),
        **machine("orbax-checkpoint", "grain"),
    }
    print(f"{found['met'] - len(found['faults'])} of {found['met']} ended and went on as they should; {found}")
    write_json(pathlib.Path(arguments.output), result)
    sys.exit(bool(found["faults"]))


if __name__ == "__main__":
    main()
