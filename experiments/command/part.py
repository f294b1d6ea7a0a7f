"""The flags of `jmpose predict` that say which part of a source is read."""

from collections.abc import Callable

from absl import flags

from jmpose_jax.errors import InputError
from jmpose_jax.inference.sources.cut import Cut, parse_bound
from jmpose_jax.inference.sources.source import Source


def define_part() -> Callable[[], Callable[[Source], Source]]:
    """Define `--start`, `--end` and `--stride`.

    Returns:
      A function that reads them once they are parsed, and gives one that cuts a source; each raises InputError for a
      value at fault.
    """
    start = flags.DEFINE_string("start", None, "First frame that is read: its number, from 0, or seconds, as 12.5s.")
    end = flags.DEFINE_string(
        "end",
        None,
        "First frame that is no longer read: its number, from 0, or seconds; --end=100 ends with frame 99, wherever "
        "--start is.",
    )
    stride = flags.DEFINE_integer("stride", 1, "Read every n-th frame of that part.", lower_bound=1)

    def read() -> Callable[[Source], Source]:
        first = None if start.value is None else parse_bound(start.value, "--start")
        last = None if end.value is None else parse_bound(end.value, "--end")
        stride_value = stride.value

        def cut(source: Source) -> Source:
            if first is None and last is None and stride_value == 1:
                return source
            if not source.timed and any(bound and bound.seconds for bound in (first, last)):
                raise InputError(f"--start, --end: {source.name} has no times; give numbers of frames")
            return Cut(source, first, last, stride_value)

        return cut

    return read
