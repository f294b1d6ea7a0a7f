"""Which implementation of the deformable convolution serves a call, and why, in words."""

import functools
import os
import warnings
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jmpose_jax.errors import InputError
from jmpose_jax.ops.deform_conv import gpu, reference, tpu
from jmpose_jax.ops.deform_conv.geometry import Geometry
from jmpose_jax.ops.deform_conv.partition import BATCH_AXIS, batch_devices, split_is_known
from jmpose_jax.ops.target import target_device

ENVIRONMENT = "JMPOSE_DEFORM_CONV"
_INTERPRET = "_interpret"

# name -> function(x, offset, mask, kernel, geometry) -> float32 [B,Ho,Wo,O], without the bias. Kernels register here;
# those that end in _interpret run on every device, slowly, and are for tests.
IMPLEMENTATIONS: dict[str, Callable[..., jax.Array]] = {
    "xla": reference.modulated_deform_conv2d,
    "gpu": gpu.modulated_deform_conv2d,
    "tpu": tpu.modulated_deform_conv2d,
    "gpu" + _INTERPRET: functools.partial(gpu.modulated_deform_conv2d, interpret=True),
    "tpu" + _INTERPRET: functools.partial(tpu.modulated_deform_conv2d, interpret=True),
}
_LIMITS = {"gpu": gpu.unsupported, "tpu": tpu.unsupported}


class Choice(NamedTuple):
    """An implementation and the reason for it.

    Attributes:
      implementation: a key of IMPLEMENTATIONS.
      reason: why, for people.
      fallback: whether plain XLA stands in for a kernel that was asked for or is made for this device.
    """

    implementation: str
    reason: str
    fallback: bool = False


def choose(g: Geometry, dtype: jnp.dtype, implementation: str | None = None) -> Choice:
    """The implementation that takes a call.

    Args:
      g: the geometry of the call.
      dtype: of x.
      implementation: a key of IMPLEMENTATIONS; None asks the environment variable JMPOSE_DEFORM_CONV, then the device.

    Returns:
      The choice; plain XLA wherever the kernel cannot take the call.

    Raises:
      InputError: no such implementation.
    """
    source = "asked for"
    if implementation is None and ENVIRONMENT in os.environ:
        implementation, source = os.environ[ENVIRONMENT], f"set by {ENVIRONMENT}"
    if implementation is None:
        implementation, source = _for_device(target_device())
    if implementation not in IMPLEMENTATIONS:
        known = ", ".join(sorted(IMPLEMENTATIONS))
        raise InputError(f"modulated_deform_conv2d: unknown implementation {implementation!r}; choose one of: {known}")
    limit = _limit(implementation, g, dtype, automatic=source.startswith("the kernel"))
    if limit is None:
        return Choice(implementation, source)
    return Choice("xla", f"the {implementation} kernel cannot take this call: {limit}", fallback=bool(_size(g)))


def warn_once(choice: Choice) -> None:
    """Says once per reason that plain XLA stands in for a kernel."""
    if choice.fallback:
        _warn(f"modulated_deform_conv2d: plain XLA is used; {choice.reason}")


@functools.cache
def _warn(message: str) -> None:
    warnings.warn(message, stacklevel=5)


def _for_device(device: jax.Device) -> tuple[str, str]:
    if device.platform == "tpu":
        return "tpu", "the kernel for TPUs"
    if device.platform in ("gpu", "cuda"):
        capability = str(getattr(device, "compute_capability", ""))
        if capability.split(".")[0].isdigit() and int(capability.split(".")[0]) >= 8:
            return "gpu", f"the kernel for NVIDIA GPUs (compute capability {capability})"
        return "xla", f"the GPU kernel needs an NVIDIA GPU of compute capability 8 or more, not {device.device_kind}"
    return "xla", f"no kernel is made for {device.platform}"


def _size(g: Geometry) -> int:
    return g.batch * g.out_height * g.out_width * g.height * g.width * g.channels


def _limit(implementation: str, g: Geometry, dtype: jnp.dtype, automatic: bool) -> str | None:
    kernel = implementation.removesuffix(_INTERPRET)
    if kernel not in _LIMITS:
        return None
    if not _size(g):
        return "an array is empty"
    limit = _LIMITS[kernel](g, dtype)
    if limit is not None:
        return limit
    if g.batch % batch_devices():
        return f"a batch of {g.batch} does not split over the {batch_devices()} devices of the mesh"
    # In a compilation nobody can tell whether the arrays are split; XLA could not split the kernel's call.
    if automatic and jax.device_count() > 1 and not split_is_known():
        return f"{jax.device_count()} devices, and no mesh with an axis {BATCH_AXIS!r} in force (jax.set_mesh)"
    return None
