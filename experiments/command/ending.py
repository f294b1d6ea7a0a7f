"""How a command ends: one line and the documented status for what it met, and no teardown that could crash."""

import errno
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import NoReturn

from jmpose_jax import stopping
from jmpose_jax.errors import (
    HostLost,
    HostsDiffer,
    InputError,
    InputStalled,
    Interrupted,
    NonFiniteLoss,
    NoSpace,
    Preempted,
    RunStopped,
    is_full_disk,
)

# All processes of a run stop for these at the same step.
AGREED = (HostsDiffer, NonFiniteLoss, Preempted, Interrupted)
UNUSABLE = {getattr(errno, name) for name in ("EACCES", "EPERM", "EROFS", "ENOTDIR", "EISDIR", "ELOOP", "ENAMETOOLONG")}
GRACE = 5.0  # seconds in which the other processes may come to the same fault, before this one's end ends them


def guarded(program: str, run: Callable[[], None], faults: tuple[type[Exception], ...] = ()) -> None:
    """Run a command, and exit with the documented status.

    Args:
      program: as the user types it.
      run: the command.
      faults: further exceptions that say, in one line, that the input is at fault.

    Exits with one line on standard error and 2 when the input is at fault, the `STATUS` of a `RunStopped`, 73 when the
    disk is full, 130 or 143 when Ctrl-C or SIGTERM found nothing to put away; with 1 and a traceback on anything else.
    """
    stopping.called(program_name(program))
    try:
        run()
    except (InputError, *faults) as error:
        fail(program, error)
    except RunStopped as stopped:
        fail(program, stopped, stopped.STATUS)
    except KeyboardInterrupt as error:
        _interrupted(program, getattr(error, "number", None))
    except Exception as error:
        if stopping.received() is not None:
            _interrupted(program, None)  # libraries that are broken off raise what they like
        if is_full_disk(error):
            fail(program, error, NoSpace.STATUS)
        if isinstance(error, OSError) and error.filename is not None and error.errno in UNUSABLE:
            # Checked before the work where we know of it; the rest of what a file system can say is no riddle either.
            advice = "check the path and its permissions"
            fail(program, InputError(f"{error.filename}: cannot be used ({error.strerror}); {advice}"))
        if not _of_several_processes():
            raise
        traceback.print_exc()
        _leave(1)
    sys.stdout.flush()
    stopping.finished()


def fail(program: str, error: Exception, status: int = 2) -> NoReturn:
    """Print the fault in one line and exit."""
    _leave_bars()
    print(f"{program_name(program)}: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
    if isinstance(error, HostLost):
        stopping.leave(status)  # JAX would wait for the process that has gone
    if _of_several_processes() and not isinstance(error, AGREED):
        _leave(status)
    if isinstance(error, (InputStalled, NoSpace)):
        # Python would wait for the threads that still read, and report those that still want to write.
        stopping.leave(status)
    if stopping.received() is not None:
        _shut_down()
        stopping.leave(status)
    stopping.finished()
    sys.exit(status)


def _interrupted(program: str, number: int | None) -> NoReturn:
    """End after a signal that found nothing to put away."""
    came = number or stopping.received()
    how = f"stopped by {stopping.name(came)}" if came else "interrupted"
    status = 128 + (came or 2)
    _leave_bars()
    print(f"{program_name(program)}: {how}", file=sys.stderr, flush=True)
    if _of_several_processes() or stopping.received() is not None:
        stopping.leave(status)  # JAX would wait for the others, which wait for this one
    sys.exit(status)


def _leave_bars() -> None:
    """A line of ours begins at the terminal's margin, not behind a progress bar; without bars nothing is imported."""
    progress = sys.modules.get("jmpose_jax.progress")
    if hasattr(progress, "leave_bars"):  # a signal may have broken the import off
        progress.leave_bars()


def program_name(program: str) -> str:
    """The command as the user types it."""
    return program if program.startswith("jmpose") else f"jmpose {os.path.splitext(os.path.basename(program))[0]}"


def _of_several_processes() -> bool:
    """Whether this process has joined a run of several."""
    jax = sys.modules.get("jax")
    distributed = getattr(jax, "distributed", None)  # a signal may have broken the import off
    return distributed is not None and distributed.is_initialized() and jax.process_count() > 1


def _shut_down() -> None:
    """Take leave of the other processes, which stop at the same step."""
    if _of_several_processes():
        sys.modules["jax"].distributed.shutdown()


def _leave(status: int) -> NoReturn:
    """End at once: the others wait in a collective for this process, and JAX would have it wait for them."""
    sys.stdout.flush()
    sys.stderr.flush()
    time.sleep(GRACE)
    stopping.leave(status)
