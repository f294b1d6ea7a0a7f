"""What every command does around its work: flags in, one clear line and status 2 when the input is at fault."""

import os
import sys
from collections.abc import Callable

from absl import app, flags, logging

from jmpose_jax.errors import InputError


def launch(run: Callable[[], None], argv: list[str] | None = None) -> None:
    """Parse the flags, run, and exit with the documented status.

    Args:
      run: the command; it reads `absl.flags.FLAGS`.
      argv: program name and flags, `sys.argv` by default.

    Exits with 0 when done, 2 when a flag or an input file is at fault (one line on standard error), 1 with a traceback
    on anything else.
    """
    argv = sys.argv if argv is None else argv
    logging.set_verbosity(logging.WARNING)
    try:
        rest = flags.FLAGS(argv)
        if len(rest) > 1:
            raise InputError(f"unexpected argument {rest[1]!r}; flags are written --name=value or --name value")
        run()
    except app.UsageError as error:  # --help
        app.usage(shorthelp=True, detailed_error=str(error) or None)
        sys.exit(0)
    except (flags.Error, InputError) as error:
        fail(argv[0], error)
    except KeyboardInterrupt:
        print(f"{argv[0]}: interrupted", file=sys.stderr)
        sys.exit(130)
    sys.stdout.flush()


def fail(program: str, error: Exception) -> None:
    """Print the fault in one line and exit with status 2."""
    name = program if program.startswith("jmpose") else f"jmpose {os.path.splitext(os.path.basename(program))[0]}"
    print(f"{name}: {' '.join(str(error).split())}", file=sys.stderr)
    sys.exit(2)
