"""What every command does around its work: flags in, one clear line and status 2 when the input is at fault."""

import ctypes
import os
import sys
import textwrap
from collections.abc import Callable, Mapping

from absl import flags, logging

from experiments.command.compiled import keep_compiled
from experiments.command.ending import fail, guarded, program_name
from experiments.configuration.flag import read_flags
from jmpose_jax import stopping
from jmpose_jax.errors import InputError

__all__ = ["fail", "keep_freed_memory", "launch", "usage"]
HELP = ("-h", "-help", "--help", "--helpfull", "--helpshort")


def launch(run: Callable[..., None], argv: list[str] | None = None, words: str = "") -> None:
    """Parse the flags, run, and exit with the documented status.

    Args:
      run: the command; it reads `absl.flags.FLAGS`.
      argv: program name and flags, `sys.argv` by default.
      words: what the arguments that are no flags are, for `--help`: they are handed to `run`, as a list. "" where there
        are none.

    Exits with 0 when done or when asked for help, and as `ending.guarded` otherwise.
    """
    argv = sys.argv if argv is None else argv
    keep_freed_memory()
    if any(argument in HELP for argument in argv[1:]):
        show(usage(program_name(argv[0]), sys.modules[run.__module__].__doc__ or "", words))
        sys.exit(0)

    def command() -> None:
        before = {name: flags.FLAGS[name].present for name in flags.FLAGS}
        rest = read_flags(argv)
        _check_given_once(before)
        if flags.FLAGS["verbosity"].using_default_value:
            # Libraries warn of matters that the user can do nothing about; --verbosity=0 shows them.
            logging.set_verbosity(logging.ERROR)
        if len(rest) > 1 and not words:
            raise InputError(f"unexpected argument {rest[1]!r}; flags are written --name=value or --name value")
        keep_compiled()
        stopping.loaded()
        run(rest[1:]) if words else run()

    with stopping.installed():
        guarded(argv[0], command, (flags.Error,))


def show(text: str) -> None:
    """Print a text that may be piped into a program that does not read to its end."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else Python complains once more at exit


def _check_given_once(before: Mapping[str, int]) -> None:
    """Raises InputError for a flag of one value that was given several: absl would keep the last without a word.

    Args:
      before: how often each flag that was there had been given before the flags were read.
    """
    for name in flags.FLAGS:
        flag = flags.FLAGS[name]
        times = flag.present - before.get(name, 0)
        if times > 1 and not isinstance(flag, flags.MultiFlag):
            raise InputError(f"--{flag.name} is given {times} times and takes one value; give it once")


def keep_freed_memory() -> None:
    """Let glibc keep freed memory for the next step instead of giving it back to the system.

    On CPUs, XLA allocates and frees hundreds of megabytes a step; each time the system must hand out zeroed pages anew.
    Without that the tiny configs' steps take about a fifth less time. Other C libraries and systems are left alone.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        trim_threshold, mmap_max = -1, -4  # malloc.h
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(mmap_max, 0)


def usage(program: str, description: str, words: str = "") -> str:
    """What `--help` prints: the command's own flags with defaults, not those of the libraries it imports."""
    found = sorted(_own_flags(), key=lambda flag: flag.name)
    lines = [f"usage: {program} {words}[flags]", "", *textwrap.wrap(" ".join(description.split()), 100), ""]
    lines.append("flags:" if found else "This command has no flags.")
    for flag in found:
        name = f"--[no]{flag.name}" if flag.boolean else f"--{flag.name}"
        # A list stands as the flag takes it.
        value = ",".join(map(str, flag.default)) if isinstance(flag.default, list | tuple) else flag.default
        default = "" if value in (None, "") else f" (default: {value})"
        lines.append(f"  {name}")
        lines += textwrap.wrap(f"{_help(flag)}{default}", 96, initial_indent=" " * 6, subsequent_indent=" " * 6)
        if flag.name == "config":
            lines.append("  --config.KEY=VALUE")
            lines.append("      Change one value of the config, e.g. --config.train.steps=100.")
    return "\n".join(lines)


def _help(flag: flags.Flag) -> str:
    """The flag's help as it was written: absl adds to that of a flag of several values, on a line of its own."""
    said, added, _ = (flag.help or "").partition("repeat this option to specify a list of values")
    said = " ".join(said.split()).rstrip(";") if added else said
    return said if not added or "repeatable" in said else f"{said} Repeatable."


def _own_flags() -> list[flags.Flag]:
    found = {}
    for module, defined in flags.FLAGS.flags_by_module_dict().items():
        # A module that runs as __main__ is known to absl by the path of its file.
        if module.split(".")[0] == "experiments" or os.path.basename(os.path.dirname(module)) == "experiments":
            found.update({flag.name: flag for flag in defined})
    return list(found.values())
