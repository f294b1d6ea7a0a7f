"""What every command does around its work: flags in, one clear line and status 2 when the input is at fault."""

import ctypes
import os
import sys
import textwrap
import time
import traceback
from collections.abc import Callable

from absl import flags, logging

from experiments.config_flag import read_flags
from jmpose_jax.errors import (
    HostLost,
    HostsDiffer,
    InputError,
    InputStalled,
    NonFiniteLoss,
    NoSpace,
    Preempted,
    RunStopped,
    is_full_disk,
)

AGREED = (HostsDiffer, NonFiniteLoss, Preempted)  # all processes of a run stop for these at the same step
GRACE = 5.0  # seconds in which the other processes may come to the same fault, before this one's end ends them
HELP = ("-h", "-help", "--help", "--helpfull", "--helpshort")


def launch(run: Callable[[], None], argv: list[str] | None = None) -> None:
    """Parse the flags, run, and exit with the documented status.

    Args:
      run: the command; it reads `absl.flags.FLAGS`.
      argv: program name and flags, `sys.argv` by default.

    Exits with 0 when done or when asked for help; with one line on standard error and 2 when a flag or an input file is
    at fault, the `STATUS` of a `RunStopped`, 73 when the disk is full, 130 when interrupted; with 1 and a traceback on
    anything else.
    """
    argv = sys.argv if argv is None else argv
    keep_freed_memory()
    if any(argument in HELP for argument in argv[1:]):
        print(usage(program_name(argv[0]), sys.modules[run.__module__].__doc__ or ""))
        sys.exit(0)
    try:
        rest = read_flags(argv)
        if flags.FLAGS["verbosity"].using_default_value:
            # Libraries warn of matters that the user can do nothing about; --verbosity=0 shows them.
            logging.set_verbosity(logging.ERROR)
        if len(rest) > 1:
            raise InputError(f"unexpected argument {rest[1]!r}; flags are written --name=value or --name value")
        run()
    except (flags.Error, InputError) as error:
        fail(argv[0], error)
    except RunStopped as stopped:
        fail(argv[0], stopped, stopped.STATUS)
    except KeyboardInterrupt:
        print(f"{program_name(argv[0])}: interrupted", file=sys.stderr, flush=True)
        if _of_several_processes():
            os._exit(130)  # JAX would wait for the others, which wait for this one
        sys.exit(130)
    except Exception as error:
        if is_full_disk(error):
            fail(argv[0], error, NoSpace.STATUS)
        if not _of_several_processes():
            raise
        traceback.print_exc()
        _leave(1)
    sys.stdout.flush()


def required(*needed: flags.FlagHolder) -> None:
    """Raises InputError that names all flags that are missing, not the first alone."""
    missing = [f"--{flag.name}" for flag in needed if flag.value is None or flag.value == ""]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise InputError(f"{' and '.join(missing)} {verb} missing; `--help` says what each takes")


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


def usage(program: str, description: str) -> str:
    """What `--help` prints: the command's own flags with defaults, not those of the libraries it imports."""
    found = sorted(_own_flags(), key=lambda flag: flag.name)
    lines = [f"usage: {program} [flags]", "", *textwrap.wrap(" ".join(description.split()), 100), ""]
    lines.append("flags:" if found else "This command has no flags.")
    for flag in found:
        name = f"--[no]{flag.name}" if flag.boolean else f"--{flag.name}"
        # A list stands as the flag takes it.
        value = ",".join(map(str, flag.default)) if isinstance(flag.default, list | tuple) else flag.default
        default = "" if value in (None, "") else f" (default: {value})"
        lines.append(f"  {name}")
        lines += textwrap.wrap(f"{flag.help}{default}", 96, initial_indent=" " * 6, subsequent_indent=" " * 6)
        if flag.name == "config":
            lines.append("  --config.KEY=VALUE")
            lines.append("      Change one value of the config, e.g. --config.train.steps=100.")
    return "\n".join(lines)


def _own_flags() -> list[flags.Flag]:
    found = {}
    for module, defined in flags.FLAGS.flags_by_module_dict().items():
        # A module that runs as __main__ is known to absl by the path of its file.
        if module.split(".")[0] == "experiments" or os.path.basename(os.path.dirname(module)) == "experiments":
            found.update({flag.name: flag for flag in defined})
    return list(found.values())


def program_name(program: str) -> str:
    """The command as the user types it."""
    return program if program.startswith("jmpose") else f"jmpose {os.path.splitext(os.path.basename(program))[0]}"


def fail(program: str, error: Exception, status: int = 2) -> None:
    """Print the fault in one line and exit."""
    print(f"{program_name(program)}: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
    if isinstance(error, HostLost):
        os._exit(status)  # JAX would wait for the process that has gone
    if _of_several_processes() and not isinstance(error, AGREED):
        _leave(status)
    if isinstance(error, (InputStalled, NoSpace)):
        sys.stdout.flush()
        # Python would wait for the threads that still read, and report those that still want to write.
        os._exit(status)
    sys.exit(status)


def _of_several_processes() -> bool:
    """Whether this process has joined a run of several."""
    jax = sys.modules.get("jax")
    return jax is not None and jax.distributed.is_initialized() and jax.process_count() > 1


def _leave(status: int) -> None:
    """End at once: the others wait in a collective for this process, and JAX would have it wait for them."""
    sys.stdout.flush()
    sys.stderr.flush()
    time.sleep(GRACE)
    os._exit(status)
