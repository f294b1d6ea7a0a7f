"""Faults of the user's input, as opposed to faults of this program."""


class InputError(Exception):
    """A file, flag, key or shape that the user gave is at fault.

    The message is one line that names the culprit and says what to do. The commands print it on standard error and
    exit with status 2; library callers catch it like any exception.
    """


class Preempted(Exception):
    """The run was told to stop (SIGTERM), has saved what there is to save, and goes on when it is started again.

    The commands exit with status 75 (`EX_TEMPFAIL` of sysexits.h): run the same command again.
    """

    STATUS = 75
