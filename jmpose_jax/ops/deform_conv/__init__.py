"""Modulated deformable convolution: one public function, one plain-XLA reference, room for kernels beside it."""

from jmpose_jax.ops.deform_conv.api import IMPLEMENTATIONS, modulated_deform_conv2d

__all__ = ["IMPLEMENTATIONS", "modulated_deform_conv2d"]
