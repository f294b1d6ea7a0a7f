"""Writes outputs.npz: what the transformers library's ViTPose gives for weights and images that a counter makes.

The weights are not stored: `draw` makes them again from their names and shapes. Run with torch and transformers:
python tests/golden/vitpose/make.py
"""

import pathlib
import zlib

import numpy as np

SIZE = (64, 48)  # height and width of the images: a grid of 4 x 3 patches
WIDTH, DEPTH, HEADS, JOINTS = 32, 2, 4, 5
EPSILON = 1e-6


def draw(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """float32 values of a tensor: uniform, scaled by its fan-in, near 1 for scales and variances."""
    words = np.random.Philox(key=[1, zlib.crc32(name.encode())]).random_raw(int(np.prod(shape)))
    uniform = ((words >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1).reshape(shape)
    if len(shape) > 1 and "position" not in name:
        return (uniform * np.sqrt(3 / np.prod(shape[1:]))).astype(np.float32)
    near_1 = name.endswith("running_var") or (name.endswith("weight") and ("norm" in name))
    return ((1 if near_1 else 0) + 0.5 * uniform).astype(np.float32)


def images() -> np.ndarray:
    """float32 [2, 3, H, W], as if normalised."""
    return 2 * draw("position of images", (2, 3, *SIZE))


def library_model(decoder: str):
    """The library's model with these weights."""
    import torch
    from transformers import VitPoseBackboneConfig, VitPoseConfig, VitPoseForPoseEstimation

    backbone = VitPoseBackboneConfig(
        image_size=SIZE,
        hidden_size=WIDTH,
        num_hidden_layers=DEPTH,
        num_attention_heads=HEADS,
        layer_norm_eps=EPSILON,
        out_indices=[DEPTH],
    )
    config = VitPoseConfig(backbone_config=backbone, use_simple_decoder=decoder == "simple", num_labels=JOINTS)
    model = VitPoseForPoseEstimation(config).eval()
    state = model.state_dict()
    kept = {key: torch.from_numpy(draw(key, tuple(value.shape))) for key, value in state.items() if value.ndim}
    model.load_state_dict(state | kept)
    return model


def outputs() -> dict[str, np.ndarray]:
    """Heatmaps [2, K, H/4, W/4] by decoder, computed in float64, and the names of all tensors."""
    import torch

    made = {}
    for decoder in ("classic", "simple"):
        model = library_model(decoder).double()
        with torch.no_grad():
            made[decoder] = model(torch.from_numpy(images()).double()).heatmaps.numpy().astype(np.float32)
        made[f"{decoder}_names"] = np.array([key for key, value in model.state_dict().items() if value.ndim])
    return made


if __name__ == "__main__":
    np.savez_compressed(pathlib.Path(__file__).with_name("outputs.npz"), **outputs())
