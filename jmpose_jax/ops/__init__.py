from jmpose_jax.ops import heatmaps
from jmpose_jax.ops.deform_conv import modulated_deform_conv2d

__all__ = ["heatmaps", "modulated_deform_conv2d"]
