"""HANet, DeciWatch and SmoothNet as published: their modules from the shapes in a file, and their name tables.

What shapes do not tell (the interval between seen frames, the heads) is not needed to convert a checkpoint; a module
has the defaults of its class for it.
"""

import itertools
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import numpy as np

from jmpose_jax.models.sequences.deciwatch import DeciWatch
from jmpose_jax.models.sequences.hanet import HANet
from jmpose_jax.models.sequences.smoothnet import SmoothNet
from jmpose_jax.weights.layers import Layer, flatten

MODULES = {"hanet": HANet, "deciwatch": DeciWatch, "smoothnet": SmoothNet}
SequenceModule = HANet | DeciWatch | SmoothNet

EMBED = "transformer.encoder_embed.weight"


def example(module: SequenceModule) -> np.ndarray:
    """The shortest sequence that a module takes, to find its variables: zeros [1, T, C]."""
    if isinstance(module, SmoothNet):
        return np.zeros((1, module.window, 1), np.float32)
    return np.zeros((1, module.interval + 1, module.channels), np.float32)


def module_of_file(name: str, mapping: Mapping[str, Any]) -> nn.Module:
    """The module whose variables a state dict holds, as far as shapes tell; the default one where they do not.

    Args:
      name: a key of `MODULES`.
      mapping: PyTorch key -> array.
    """
    shapes = {key: tuple(value.shape) for key, value in mapping.items()}

    def count(pattern: str) -> int:
        return next(i for i in itertools.count() if pattern.format(i) not in shapes)

    if name == "smoothnet":
        first, block = shapes.get("encoder.0.weight", ()), shapes.get("res_blocks.0.linear1.weight", ())
        if len(first) != 2:
            return SmoothNet()
        inner = block[0] if len(block) == 2 else SmoothNet.residual_hidden
        blocks = count("res_blocks.{}.linear1.weight")
        return SmoothNet(window=first[1], hidden=first[0], residual_hidden=inner, blocks=blocks)
    joints = shapes.get("transformer.decoder_joints_embed.weight", ())
    if len(joints) != 2:
        return MODULES[name]()
    sizes = {"channels": joints[0], "width": joints[1]}
    layers = count("transformer.decoder.layers.{}.linear1.weight")
    if name == "deciwatch":
        feed = shapes.get("transformer.decoder.layers.0.linear1.weight", ())
        hidden = feed[0] if len(feed) == 2 else DeciWatch.hidden
        return DeciWatch(**sizes, hidden=hidden, layers=layers, pre_norm="transformer.encoder.norm.weight" in shapes)
    return HANet(
        **sizes,
        encoder_layers=count("transformer.encoder.{}.layers.0.linear1.weight"),
        decoder_layers=layers,
        pre_norm="transformer.encoder_norm.0.weight" in shapes,
    )


def module_of_variables(name: str, variables: Mapping[str, Any]) -> nn.Module:
    """The module that has these variables, as far as shapes tell; the default one where they do not."""
    shapes = {"/".join(path[1:]): np.shape(leaf) for path, leaf in flatten(variables) if path[0] == "params"}

    def count(pattern: str) -> int:
        return next(i for i in itertools.count() if pattern.format(i) not in shapes)

    if name == "smoothnet":
        if not {"encoder/kernel", "block0_linear1/kernel"} <= shapes.keys():
            return SmoothNet()
        (window, hidden), (_, inner) = shapes["encoder/kernel"], shapes["block0_linear1/kernel"]
        return SmoothNet(window=window, hidden=hidden, residual_hidden=inner, blocks=count("block{}_linear1/kernel"))
    feed = "decoder/layer0/feed_forward/linear1/kernel"
    if not {"decoder_joints/kernel", feed} <= shapes.keys():
        return MODULES[name]()
    width, channels = shapes["decoder_joints/kernel"]
    encoder_layers = count("encoder{}/feed_forward/linear1/kernel")
    if name == "deciwatch":
        pre_norm = "encoder_norm/scale" in shapes
        return DeciWatch(channels, width, layers=encoder_layers, hidden=shapes[feed][1], pre_norm=pre_norm)
    return HANet(
        channels,
        width,
        encoder_layers=encoder_layers,
        decoder_layers=count("decoder/layer{}/feed_forward/linear1/kernel"),
        pre_norm="encoder_norm0/scale" in shapes,
        keep_unused=f"projection{encoder_layers - 1}/kernel" in shapes,
    )


def table(module: SequenceModule) -> list[Layer]:
    """The name table of a module."""
    if isinstance(module, SmoothNet):
        rows = [Layer("encoder.0", ("encoder",), "linear")]
        for i in range(module.blocks):
            for part in ("linear1", "linear2"):
                rows.append(Layer(f"res_blocks.{i}.{part}", (f"block{i}_{part}",), "linear"))
        return [*rows, Layer("decoder", ("decoder",), "linear")]
    rows = [
        Layer("transformer.decoder_embed", ("decoder_embed",), "conv1d"),
        Layer("transformer.encoder_embed", ("encoder_embed",), "linear"),
    ]
    if isinstance(module, HANet):
        encoder_layers, decoder_layers = module.encoder_layers, module.decoder_layers
        rows.append(Layer("transformer.motion_embed", ("motion_embed",), "linear"))
        for torch, name in (("prev_v", "previous_velocity"), ("next_v", "next_velocity"), ("acc", "acceleration")):
            rows.append(Layer(f"transformer.{torch}_embed", ("kinematics", name), "scale"))
        for i in range(encoder_layers):
            rows += _encoder_layer(f"transformer.encoder.{i}.layers.0", f"encoder{i}")
        for i in range(encoder_layers):
            last = i + 1 == encoder_layers
            rows.append(Layer(f"transformer.projection.{i}", (f"projection{i}",), "linear", unread=last))
            rows.append(Layer(f"transformer.offset_refine.{i}", (f"offset{i}",), "tap"))
            rows.append(Layer(f"transformer.encoder_norm.{i}", (f"encoder_norm{i}",), "layer_norm", unread=True))
    else:
        decoder_layers = module.layers
        for i in range(decoder_layers):
            rows += _encoder_layer(f"transformer.encoder.layers.{i}", f"encoder{i}")
        rows.append(Layer("transformer.encoder.norm", ("encoder_norm",), "layer_norm"))
    for i in range(decoder_layers):
        rows += _decoder_layer(f"transformer.decoder.layers.{i}", ("decoder", f"layer{i}"))
    rows.append(Layer("transformer.decoder.norm", ("decoder", "norm"), "layer_norm"))
    for side in ("decoder", "encoder"):
        rows.append(Layer(f"transformer.{side}_joints_embed", (f"{side}_joints",), "linear"))
    return rows


def _attention(torch: str, path: tuple[str, ...]) -> list[Layer]:
    return [Layer(torch, path, "attention"), Layer(f"{torch}.out_proj", (*path, "out"), "linear")]


def _feed_forward(torch: str, path: tuple[str, ...]) -> list[Layer]:
    return [Layer(f"{torch}.{part}", (*path, "feed_forward", part), "linear") for part in ("linear1", "linear2")]


def _norms(torch: str, path: tuple[str, ...], count: int) -> list[Layer]:
    return [Layer(f"{torch}.norm{i}", (*path, f"norm{i}"), "layer_norm") for i in range(1, count + 1)]


def _encoder_layer(torch: str, name: str) -> list[Layer]:
    path = (name,)
    own = _attention(f"{torch}.self_attn", (*path, "self_attention"))
    return [*own, *_feed_forward(torch, path), *_norms(torch, path, 2)]


def _decoder_layer(torch: str, path: tuple[str, ...]) -> list[Layer]:
    own = _attention(f"{torch}.self_attn", (*path, "self_attention"))
    cross = _attention(f"{torch}.multihead_attn", (*path, "cross_attention"))
    return [*own, *cross, *_feed_forward(torch, path), *_norms(torch, path, 3)]
