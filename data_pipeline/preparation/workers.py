"""One function over many tasks, in this process or in several, with progress, and stopped cleanly."""

import concurrent.futures
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from jmpose_jax.progress import ProgressBar
from jmpose_jax.stopping import deaf_children

_counter: Any = None
_stop: Any = None


class Stopped(Exception):
    """The process that gave the task wants no more of it."""


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(
    function: Callable[[Any], Any],
    tasks: Sequence[Any],
    total: int,
    description: str,
    num_processes: int = 1,
    progress: bool = True,
) -> list[Any]:
    """Results of `function` for all tasks, in their order.

    Args:
      function: of a module, so that other processes find it; it calls `count()` for each unit of work.
      tasks: arguments, which must be picklable.
      total: units of work in all tasks.
      description: for the report of progress.
      num_processes: 1 runs everything here.
      progress: report on standard error.

    Raises:
      What `function` raises first; the other tasks are stopped. RuntimeError where a process died.
    """
    bar = ProgressBar(total, description, enabled=progress)
    try:
        if num_processes <= 1 or len(tasks) <= 1:
            return list(_here(function, tasks, bar))
        return _elsewhere(function, tasks, min(num_processes, len(tasks)), bar)
    finally:
        bar.close()


def count() -> None:
    """Tell that one unit of work is done; called by the functions that run here.

    Raises:
      Stopped: in a process whose results nobody waits for any more.
    """
    if _stop is not None and _stop.is_set():
        raise Stopped
    if isinstance(_counter, ProgressBar):
        _counter.update()
    elif _counter is not None:
        with _counter.get_lock():
            _counter.value += 1


def _here(function: Callable[[Any], Any], tasks: Sequence[Any], bar: ProgressBar) -> Iterator[Any]:
    _start(bar, None)
    try:
        for task in tasks:
            yield function(task)
    finally:
        _start(None, None)


def _elsewhere(function: Callable[[Any], Any], tasks: Sequence[Any], num_processes: int, bar: ProgressBar) -> list[Any]:
    # Spawned, not forked: JAX and Grain run threads, whose locks a forked process would inherit in any state.
    context = multiprocessing.get_context("spawn")
    counter, stop = context.Value("q", 0), context.Event()
    pool = concurrent.futures.ProcessPoolExecutor(num_processes, context, _start, (counter, stop, True))
    with pool:
        try:
            with deaf_children(signal.SIGINT):  # in their imports too
                futures = [pool.submit(function, task) for task in tasks]
            waiting, shown = set(futures), 0
            while waiting:
                done, waiting = concurrent.futures.wait(waiting, 0.2, concurrent.futures.FIRST_EXCEPTION)
                bar.update(counter.value - shown)
                shown = counter.value
                for future in done:
                    future.result()
            return [future.result() for future in futures]
        except BaseException as error:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            if isinstance(error, concurrent.futures.process.BrokenProcessPool):
                raise RuntimeError(f"{len(futures)} tasks: a process died; memory may be short, use fewer") from error
            raise


def _start(counter: Any, stop: Any, own_process: bool = False) -> None:
    global _counter, _stop
    _counter, _stop = counter, stop
    if own_process:
        # Ctrl-C reaches every process of a terminal; the first one tells the others by `stop`.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A process whose parent was killed would wait for its next task for ever."""
    multiprocessing.parent_process().join()
    os._exit(1)
