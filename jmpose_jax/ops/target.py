"""The device that a program is being traced for, where that is not the one that runs the trace."""

import contextlib
import contextvars
from collections.abc import Iterator

import jax

_target: contextvars.ContextVar[jax.Device | None] = contextvars.ContextVar("target", default=None)


def target_device() -> jax.Device:
    """The device that is compiled for: that of `compiling_for`, else JAX's default device."""
    target = _target.get() or jax.config.jax_default_device
    if isinstance(target, str):
        return jax.devices(target)[0]
    return target or jax.devices()[0]


@contextlib.contextmanager
def compiling_for(device: jax.Device) -> Iterator[None]:
    """Within it, operations choose their implementation for `device`, which need not be present."""
    token = _target.set(device)
    try:
        yield
    finally:
        _target.reset(token)
