"""Modulated deformable convolution: one public function, a plain-XLA reference, and kernels for GPU and TPU."""

from jmpose_jax.ops.deform_conv.api import IMPLEMENTATIONS, Choice, choose, modulated_deform_conv2d
from jmpose_jax.ops.deform_conv.geometry import Geometry, geometry

__all__ = ["IMPLEMENTATIONS", "Choice", "Geometry", "choose", "geometry", "modulated_deform_conv2d"]
