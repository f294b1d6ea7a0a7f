"""Faults of the user's input, and what stops a run, as opposed to faults of this program."""

import errno
import re


class InputError(Exception):
    """A file, flag, key or shape that the user gave is at fault.

    The message is one line that names the culprit and says what to do. The commands print it on standard error and
    exit with status 2; library callers catch it like any exception.
    """


class RunStopped(Exception):
    """A run cannot go on for a reason that is no fault of this program; the last checkpoint is whole.

    The message is one line. The commands print it on standard error and exit with `STATUS`, each kind with its own
    (numbers of sysexits.h), so that a scheduler knows what to do.
    """

    STATUS: int


class CellsFailed(RunStopped):
    """Some cells of a grid have no result, for other reasons than their input; the others are done and reported."""

    STATUS = 1


class NonFiniteLoss(RunStopped):
    """The loss or the gradient became NaN or infinite; the message names the step."""

    STATUS = 65  # EX_DATAERR


class HostLost(RunStopped):
    """Another process of the run died or cannot be reached: start all of them again."""

    STATUS = 69  # EX_UNAVAILABLE


class NoSpace(RunStopped):
    """The disk is full: free space and start again."""

    STATUS = 73  # EX_CANTCREAT


class InputStalled(RunStopped):
    """The loader gave nothing for too long."""

    STATUS = 74  # EX_IOERR


class Preempted(RunStopped):
    """The run was told to stop (SIGTERM), has saved what there is to save, and goes on when it is started again."""

    STATUS = 75  # EX_TEMPFAIL


class HostsDiffer(RunStopped):
    """Processes that should hold the same parameters do not."""

    STATUS = 76  # EX_PROTOCOL


class Interrupted(RunStopped):
    """Ctrl-C came; what was done until then has been put away."""

    STATUS = 130  # 128 + SIGINT


class Terminated(RunStopped):
    """SIGTERM came to a command that does not go on where it was; what was done until then has been put away."""

    STATUS = 143  # 128 + SIGTERM


def is_full_disk(error: BaseException | None) -> bool:
    """Whether an exception, or one that it came from, is what the system says of a full disk, quota or file limit."""
    while error is not None:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return True
        if re.search(r"No space left|Disk quota exceeded|File too large", str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False
