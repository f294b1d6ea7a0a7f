"""Commands called in this process, as a user would call them: flags in, status and what they print out."""

import contextlib
import dataclasses
import importlib
import io
import signal

from absl import flags

from jmpose_jax import stopping


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
      status: exit status.
      out, err: what it printed.
    """

    status: int
    out: str
    err: str

    @property
    def fault(self) -> str:
        """The line on standard error that says what is wrong."""
        return next((line for line in self.err.splitlines() if line.startswith("jmpose ")), "")


def run(command: str, *arguments: object) -> Ended:
    """Run `jmpose COMMAND ARGUMENTS…` here. An exception that a user would see as a traceback is raised."""
    module = importlib.import_module(f"experiments.{command}")
    handlers = {number: signal.getsignal(number) for number in stopping.SIGNALS}
    before = set(flags.FLAGS)
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                module.main([f"jmpose {command}", *map(str, arguments)])
                status = 0
            except SystemExit as stop:
                status = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    finally:
        stopping.forget()
        for number, handler in handlers.items():
            signal.signal(number, handler)
        # A command defines its flags when it is called, once in a process; take them away for the next call.
        for name in set(flags.FLAGS) - before:
            delattr(flags.FLAGS, name)
        flags.FLAGS.unparse_flags()
        for name in before:
            flags.FLAGS[name].unparse()
    return Ended(status, out.getvalue(), err.getvalue())
