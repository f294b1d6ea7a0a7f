"""What the library says of a parameter, said of the config's key that gives it."""

import contextlib
import re
from collections.abc import Iterator

from jmpose_jax.errors import InputError

_PARAMETER = re.compile(r"[a-z_]+(\.[a-z_0-9]+)*(?=[=: ])")


@contextlib.contextmanager
def as_in_config(section: str, *names: str) -> Iterator[None]:
    """Let an InputError that begins with a parameter of the library begin with its key.

    Args:
      section: of the config, e.g. "config.train"; "config" where the library names the section itself.
      *names: of the parameters, or of sections, that are keys there.
    """
    try:
        yield
    except InputError as fault:
        found = _PARAMETER.match(str(fault))
        if not found or found[0].split(".")[0] not in names:
            raise
        raise type(fault)(f"{section}.{fault}") from None
