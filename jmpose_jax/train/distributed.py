"""Several processes as one run: who they are, how they agree, who writes."""

import contextlib
import ctypes
import os
import re
import signal
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from jmpose_jax.errors import HostLost, InputError

START_TIMEOUT = 900  # seconds; JAX's own 300 are short where hosts of one job start minutes apart
HEARTBEAT_TIMEOUT = 100  # seconds without a sign of life after which a process counts as dead
ADVICE = "run the same command on all hosts again to go on from the last checkpoint"
# How collectives and the coordination service say that the other side has gone.
LOSS = r"Connection (closed|reset)|Socket closed|connection refused|heartbeat|Gloo|NCCL|coordination service|[Bb]arrier"


def cluster_settings(
    coordinator: str | None,
    num_processes: int | None,
    process_id: int | None,
    mode: str,
    environment: Mapping[str, str],
) -> dict[str, Any] | None:
    """How to join the other processes, from flags or from what a scheduler has left in the environment.

    Args:
      coordinator: HOST:PORT of process 0.
      num_processes: number of processes of the run.
      process_id: this process's number, from 0.
      mode: "auto" looks for flags, JAX_* variables, an Indexed Job of Kubernetes, a step of Slurm, a TPU pod; "detect"
        leaves it to JAX and fails where JAX finds nothing; "off" runs alone.
      environment: the variables, `os.environ`.

    Returns:
      Arguments of `jax.distributed.initialize`, {} where JAX detects the rest itself, or None to run alone.

    Raises:
      InputError: only some of the three values are known, or one is no number.
    """
    if mode == "off":
        return None
    if mode == "detect":
        return {}
    coordinator = coordinator or environment.get("JAX_COORDINATOR_ADDRESS")
    count = _number("--num_processes", num_processes, environment, "JAX_NUM_PROCESSES")
    index = _number("--process_id", process_id, environment, "JAX_PROCESS_ID", "JOB_COMPLETION_INDEX")
    if coordinator:
        # Inside a Slurm step JAX finds count and number by itself.
        if (count is None or index is None) and "SLURM_STEP_NUM_TASKS" not in environment:
            raise InputError(
                f"--coordinator={coordinator} needs --num_processes and --process_id too (or JAX_NUM_PROCESSES and "
                "JAX_PROCESS_ID; an Indexed Job of Kubernetes sets the latter)"
            )
        if index is not None and count is not None and not 0 <= index < count:
            raise InputError(f"--process_id={index} is not below --num_processes={count}")
        return {"coordinator_address": coordinator, "num_processes": count, "process_id": index}
    if num_processes is not None or process_id is not None:
        raise InputError("--num_processes and --process_id need --coordinator=HOST:PORT, the address of process 0")
    if int(environment.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        return {}
    if "," in environment.get("TPU_WORKER_HOSTNAMES", ""):
        return {}
    return None


def _number(flag: str, value: int | None, environment: Mapping[str, str], *names: str) -> int | None:
    if value is not None:
        return value
    for name in names:
        if name in environment:
            try:
                return int(environment[name])
            except ValueError:
                raise InputError(f"{name}={environment[name]!r} is no number; correct it or give {flag}") from None
    return None


def initialize(
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    mode: str = "auto",
    heartbeat_timeout: int = HEARTBEAT_TIMEOUT,
) -> None:
    """Join the other processes of the run, where there are any; before anything else touches a device.

    Args:
      coordinator, num_processes, process_id, mode: see `cluster_settings`.
      heartbeat_timeout: seconds after which a silent process counts as dead and all others end.

    Raises:
      InputError: the settings are incomplete, or the other processes could not be reached.
    """
    settings = cluster_settings(coordinator, num_processes, process_id, mode, os.environ)
    if settings is None or jax.distributed.is_initialized():
        return
    try:
        jax.distributed.initialize(
            **settings, initialization_timeout=START_TIMEOUT, heartbeat_timeout_seconds=heartbeat_timeout
        )
    except (RuntimeError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise InputError(
            f"the processes of the run did not find each other ({first}); check --coordinator, --num_processes and "
            "--process_id, or run alone with --distributed=off"
        ) from error


def _end_with_a_line(number: int) -> None:
    """Handler of SIGABRT: coordination's client ends a process whose run has lost another by abort() from its thread.

    No exception comes of that, and a handler of Python's own would never run: the main thread waits for a collective.
    """
    line = f"jmpose: another process of the run died or cannot be reached; {ADVICE}\n"
    try:
        os.write(sys.__stderr__.fileno(), line.encode())
    finally:
        os._exit(HostLost.STATUS)


_at_abort = ctypes.CFUNCTYPE(None, ctypes.c_int)(_end_with_a_line)


@contextlib.contextmanager
def told_of_lost_host() -> Iterator[None]:
    """Where other processes are waited for: their death ends in `HostLost`, or in its line and status at once.

    Collectives raise where the connection breaks. A host that falls silent is noticed by the coordination service's
    heartbeats; then the process ends where it stands.
    """
    if jax.process_count() == 1:
        yield
        return
    # Only in here: when the interpreter shuts down it holds its lock, and the handler would wait for it for ever.
    libc = ctypes.CDLL(None)
    libc.signal.restype = ctypes.c_void_p
    before = libc.signal(signal.SIGABRT, _at_abort)
    try:
        yield
    except (RuntimeError, ValueError, OSError) as error:
        if not re.search(LOSS, str(error)):
            raise
        first = str(error).strip().splitlines()[0][:200]
        raise HostLost(f"another process of the run died or cannot be reached ({first}); {ADVICE}") from error
    finally:
        libc.signal(signal.SIGABRT, ctypes.c_void_p(before))


def barrier(name: str) -> None:
    """Wait until all processes are here; nothing where there is one."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)


def gather(tree: Any) -> Any:
    """NumPy arrays of all processes joined along their first axis, in the order of processes; equal shapes only."""
    if jax.process_count() == 1:
        return jax.tree.map(np.asarray, tree)
    return jax.tree.map(lambda x: np.asarray(multihost_utils.process_allgather(np.asarray(x), tiled=True)), tree)


def all_agree(good: bool) -> bool:
    """Whether all processes say so."""
    return bool(gather(np.array([good])).all())
