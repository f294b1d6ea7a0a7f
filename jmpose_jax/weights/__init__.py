"""Published PyTorch weights to variables and back."""

from jmpose_jax.lazy import offered

_NAMES = {
    "Report": "convert",
    "WeightsError": "convert",
    "convert_state_dict": "models",
    "from_state_dict": "models",
    "load_torch": "torch_files",
    "published_model": "models",
    "remap_head": "heads",
    "save_torch": "torch_files",
    "to_state_dict": "models",
}
__all__ = list(_NAMES)
__getattr__, __dir__ = offered(__name__, _NAMES)
