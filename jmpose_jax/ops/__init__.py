"""Functions on arrays. What has kernels for accelerators loads their compilers, so it is imported when asked for."""

from jmpose_jax.lazy import offered

_NAMES = {"heatmaps": "heatmaps", "modulated_deform_conv2d": "deform_conv"}
__all__ = list(_NAMES)
__getattr__, __dir__ = offered(__name__, _NAMES)
