"""What can go wrong when Orbax reads a checkpoint: told in one line, a signal that came meanwhile first."""

import contextlib
import logging
import pathlib
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from jmpose_jax import stopping
from jmpose_jax.errors import InputError, RunStopped

_hushing = threading.Lock()
_hushed = False


@contextlib.contextmanager
def reading(folder: pathlib.Path) -> Iterator[None]:
    """While the block reads a checkpoint, whatever the libraries below raise becomes one line.

    Raises:
      InputError: the checkpoint cannot be read.
      StopRequested: a signal came; what a library that is broken off says of the checkpoint is not true.
    """
    hush()
    try:
        yield
    except (InputError, RunStopped):
        raise
    except Exception as error:  # Orbax, TensorStore and JSON each have their own
        signal_first()
        raise InputError(f"checkpoint {folder} cannot be read: {fault_of(error)}; use another one") from error


def signal_first() -> None:
    """Raises StopRequested where a signal came that has not been acted on: it broke off what failed."""
    number = stopping.received()
    if number is not None:
        raise stopping.StopRequested(number)


def fault_of(error: BaseException) -> str:
    """What lies at the bottom of an exception, short and in one line."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    text = " ".join(str(error).split()).partition(" [tensorstore_spec=")[0]
    return text[:300] or type(error).__name__


def hush() -> None:
    """Leave out, from now on, what the threads below Orbax print when a read has failed: hundreds of tracebacks.

    They go on after the exception has been raised, and report to an event loop that is closed.
    """
    global _hushed
    with _hushing:
        if _hushed:
            return
        _hushed = True
    logging.getLogger("asyncio").addFilter(_wanted)
    warnings.filterwarnings("ignore", r"coroutine '.*' was never awaited", RuntimeWarning)
    sys.excepthook = _without_closed_loops(sys.excepthook)  # TensorStore's threads call it
    unraisable = sys.unraisablehook
    sys.unraisablehook = lambda args: None if _of_closed_loop(args.exc_value) else unraisable(args)


def _wanted(record: logging.LogRecord) -> bool:
    """Not the failures of tasks beside the first, whose exception was raised."""
    return "was never retrieved" not in record.getMessage() and "was destroyed but" not in record.getMessage()


def _of_closed_loop(error: BaseException | None) -> bool:
    return isinstance(error, RuntimeError) and str(error) == "Event loop is closed"


def _without_closed_loops(hook: Callable[..., None]) -> Callable[..., None]:
    def filtered(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        if not _of_closed_loop(error):
            hook(kind, error, trace)

    return filtered


def check_finite(variables: Any, folder: pathlib.Path) -> None:
    """Raises InputError: poses of a model with NaN in it are no numbers, or are wrong without a sign of it."""
    leaves = jax.tree_util.tree_leaves_with_path(variables)
    bad = [path for path, leaf in leaves if not np.isfinite(jax.device_get(leaf)).all()]
    if bad:
        name = "/".join(str(getattr(key, "key", key)) for key in bad[0])
        others = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        raise InputError(
            f"checkpoint {folder}: {name}{others} of its {len(leaves)} arrays hold NaN or infinity; its training went "
            "astray, or the file that it was converted from is damaged: use another checkpoint"
        )


def is_step(name: str) -> bool:
    """Whether a folder's name is a step; digits of other scripts and superscripts are none."""
    return name.isascii() and name.isdecimal()


def step_of(folder: pathlib.Path) -> int | None:
    """The step of one checkpoint's folder; None where it has been renamed."""
    return int(folder.name) if is_step(folder.name) else None
