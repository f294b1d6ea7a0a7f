"""Names of RAFT: those of the authors ("princeton", `raft-things.pth`) and those of torchvision."""

import re

from jmpose_jax.models.raft.network import RAFT, SIZES
from jmpose_jax.weights.layers import Layer, conv, norm

# Princeton name -> torchvision name; tried in order, the first match is applied.
_TO_TORCHVISION = (
    (r"^(.*encoder\.layer\d\.\d)\.conv(\d)\.", r"\1.convnormrelu\2.0."),
    (r"^(.*encoder\.layer\d\.\d)\.norm(\d)\.", r"\1.convnormrelu\2.1."),
    (r"^(feature|context)_encoder\.conv1\.", r"\1_encoder.convnormrelu.0."),
    (r"^(feature|context)_encoder\.norm1\.", r"\1_encoder.convnormrelu.1."),
    (r"^(feature|context)_encoder\.conv2\.", r"\1_encoder.conv."),
    (r"^update_block\.encoder\.convc(\d)\.", r"update_block.motion_encoder.convcorr\1.0."),
    (r"^update_block\.encoder\.convf(\d)\.", r"update_block.motion_encoder.convflow\1.0."),
    (r"^update_block\.encoder\.conv\.", r"update_block.motion_encoder.conv.0."),
    (r"^update_block\.gru\.conv([zrq])([12]?)\.", lambda m: _torchvision_gru(*m.groups())),
    (r"^update_block\.mask\.0\.", r"mask_predictor.convrelu.0."),
    (r"^update_block\.mask\.2\.", r"mask_predictor.conv."),
)


def _torchvision_gru(gate: str, number: str) -> str:
    return f"update_block.recurrent_block.convgru{number or 1}.conv{gate}."


def torchvision_name(princeton: str) -> str:
    """The name that torchvision gives to an entry of the authors' state dict."""
    name = re.sub(r"^fnet\.", "feature_encoder.", re.sub(r"^cnet\.", "context_encoder.", princeton))
    for pattern, replacement in _TO_TORCHVISION:
        name, count = re.subn(pattern, replacement, name)
        if count:
            break
    return name


def raft(model: RAFT) -> list[Layer]:
    """The name table of a size, in the authors' names.

    The normalisation of a shortcut has two names there, "downsample.1" and "norm3" ("norm4" in bottlenecks).
    """
    config = SIZES[model.size]
    layers = []
    for encoder in ("fnet", "cnet"):
        layers += [conv(f"{encoder}.conv1", encoder, "conv1", "conv"), norm(f"{encoder}.norm1", encoder, "conv1", "bn")]
        convs = 3 if config.bottleneck else 2
        for layer in (1, 2, 3):
            for block in (0, 1):
                theirs, ours = f"{encoder}.layer{layer}.{block}", (encoder, f"layer{layer}_{block}")
                for i in range(1, convs + 1):
                    layers.append(conv(f"{theirs}.conv{i}", *ours, f"conv{i}", "conv"))
                    layers.append(norm(f"{theirs}.norm{i}", *ours, f"conv{i}", "bn"))
                layers.append(conv(f"{theirs}.downsample.0", *ours, "shortcut", "conv"))
                aliases = (f"{theirs}.norm{convs + 1}",)
                layers.append(norm(f"{theirs}.downsample.1", *ours, "shortcut", "bn", aliases=aliases))
        layers.append(conv(f"{encoder}.conv2", encoder, "conv2", "conv"))
    block = "update_block"
    layers += [conv(f"{block}.encoder.{n}", "update", "encoder", n) for n in ("convc1", "convc2", "convf1", "convf2")]
    layers.append(conv(f"{block}.encoder.conv", "update", "encoder", "conv"))
    for suffix in config.suffixes:
        layers += [conv(f"{block}.gru.conv{g}{suffix}", "update", "gru", f"conv{g}{suffix}") for g in "zrq"]
    layers += [conv(f"{block}.flow_head.{n}", "update", "flow_head", n) for n in ("conv1", "conv2")]
    return [*layers, conv(f"{block}.mask.0", "mask", "conv1"), conv(f"{block}.mask.2", "mask", "conv2")]
