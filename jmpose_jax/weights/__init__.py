"""Published PyTorch weights to variables and back."""

from jmpose_jax.weights.convert import Report, WeightsError
from jmpose_jax.weights.heads import remap_head
from jmpose_jax.weights.models import convert_state_dict, from_state_dict, published_model, to_state_dict
from jmpose_jax.weights.torch_files import load_torch, save_torch

__all__ = [
    "Report",
    "WeightsError",
    "convert_state_dict",
    "from_state_dict",
    "load_torch",
    "published_model",
    "remap_head",
    "save_torch",
    "to_state_dict",
]
