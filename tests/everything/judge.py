"""What every mutation at every command must end in: the right answer, or one line with status 2 and nothing written."""

import pathlib
from collections.abc import Callable

from tests.commands import Ended

LONGEST = 1000  # characters of a fault that a person still reads


def refused(ended: Ended, *outputs: pathlib.Path) -> None:
    """Asserts that a command refused: status 2, one line, no result at `outputs`."""
    assert ended.status == 2, f"status {ended.status}; printed {ended.out!r}; {ended.err!r}"
    assert "Traceback" not in ended.err
    lines = [line for line in ended.err.splitlines() if line.startswith("jmpose ")]
    assert len(lines) == 1 and len(lines[0]) <= LONGEST, ended.err
    for output in outputs:
        assert not output.exists() or not any(p.is_file() for p in output.rglob("*")), sorted(output.rglob("*"))


def right(ended: Ended, check: Callable[[], bool]) -> None:
    """Asserts that a command ended well and that its result is the one wanted."""
    assert ended.status == 0, f"status {ended.status}: {ended.err}"
    assert check()


def right_or_refused(ended: Ended, check: Callable[[], bool], *outputs: pathlib.Path) -> str:
    """Asserts one or the other, and says which."""
    if ended.status == 2:
        refused(ended, *outputs)
        return "refused"
    right(ended, check)
    return "right"
