"""Names of ViTPose: those of the published `.pth` files (mmpose's), and those of the transformers library."""

import math
import re
from collections.abc import Mapping
from typing import Any

from jmpose_jax.errors import InputError
from jmpose_jax.models.backbones.vitpose import SIZES, ViTPose
from jmpose_jax.weights.layers import Layer, conv, norm

# The position embedding tells the grid of patches by their number alone; boxes are 4 : 3.
POSITIONS = ("backbone.pos_embed", "backbone.embeddings.position_embeddings")
HEADS = ("keypoint_head.final_layer.weight", "head.conv.weight")


def module(name: str, num_joints: int = 17) -> ViTPose | None:
    """The module of "vitpose_b" or "vitpose_b_simple" (s, b, l, h); None of other names."""
    match = re.fullmatch(rf"vitpose_({'|'.join(SIZES)})(_simple)?", name)
    if not match:
        return None
    width, depth, heads = SIZES[match[1]]
    decoder = "simple" if match[2] else "classic"
    return ViTPose(width, depth, heads, decoder, num_joints, position_grid=(16, 12))


def sized(model: ViTPose, tensors: Mapping[str, Any]) -> ViTPose:
    """The module with the joints and the patches of a file.

    Raises:
      InputError: the position embedding is of no grid of 4 : 3.
    """
    head = next((tuple(tensors[key].shape) for key in HEADS if key in tensors), ())
    if len(head) == 4 and head[0]:
        model = model.clone(num_joints=head[0])
    key = next((key for key in POSITIONS if key in tensors), None)
    shape = tuple(tensors[key].shape) if key else ()
    return model.clone(position_grid=_grid(shape[1] - 1, key)) if len(shape) == 3 else model


def sized_by_variables(model: ViTPose, variables: Mapping[str, Any]) -> ViTPose:
    """The module with the joints and the patches of variables; as it is where they are another model's."""
    params = variables.get("params", {})
    if not {"position", "final_layer"} <= params.keys():
        return model
    grid = _grid(params["position"].shape[1] - 1, "position")
    return model.clone(num_joints=int(params["final_layer"]["kernel"].shape[-1]), position_grid=grid)


def _grid(count: int, key: str) -> tuple[int, int]:
    unit = math.isqrt(count // 12) if count > 0 else 0
    if not unit or 12 * unit * unit != count:
        raise InputError(
            f"{key} is of {count} patches, which are no grid of 4 : 3 (256x192 has 16 x 12, 384x288 has 24 x 18); use "
            "a checkpoint of such crops"
        )
    return 4 * unit, 3 * unit


def table(model: ViTPose) -> list[Layer]:
    """The name table in the published names."""
    rows = [Layer("backbone", (), "pos_embed"), conv("backbone.patch_embed.proj", "patches")]
    for i, index in _indices(model):
        block = f"backbone.blocks.{i}"
        rows += [
            Layer(f"{block}.norm1", ("blocks", "norm1"), "layer_norm", index),
            Layer(f"{block}.attn.qkv", ("blocks", "attention"), "thirds", index),
            Layer(f"{block}.attn.proj", ("blocks", "attention", "projection"), "linear", index),
            Layer(f"{block}.norm2", ("blocks", "norm2"), "layer_norm", index),
            Layer(f"{block}.mlp.fc1", ("blocks", "linear1"), "linear", index),
            Layer(f"{block}.mlp.fc2", ("blocks", "linear2"), "linear", index),
        ]
    rows.append(Layer("backbone.last_norm", ("norm",), "layer_norm"))
    for i in range(2):  # the classic decoder's; convolution, normalisation and ReLU in one list
        rows.append(Layer(f"keypoint_head.deconv_layers.{3 * i}", (f"deconv{i}",), "conv_transpose"))
        rows.append(norm(f"keypoint_head.deconv_layers.{3 * i + 1}", f"deconv{i}_bn"))
    return [*rows, conv("keypoint_head.final_layer", "final_layer")]


def transformers_table(model: ViTPose) -> list[Layer]:
    """The same in the names of the transformers library's VitPoseForPoseEstimation."""
    embeddings = "backbone.embeddings"
    rows = [Layer(embeddings, (), "position_embeddings"), conv(f"{embeddings}.patch_embeddings.projection", "patches")]
    for i, index in _indices(model):
        block = f"backbone.encoder.layer.{i}"
        for part, name in enumerate(("query", "key", "value")):
            where = (*index, part)
            rows.append(Layer(f"{block}.attention.attention.{name}", ("blocks", "attention"), "third", where))
        rows += [
            Layer(f"{block}.attention.output.dense", ("blocks", "attention", "projection"), "linear", index),
            Layer(f"{block}.mlp.fc1", ("blocks", "linear1"), "linear", index),
            Layer(f"{block}.mlp.fc2", ("blocks", "linear2"), "linear", index),
            Layer(f"{block}.layernorm_before", ("blocks", "norm1"), "layer_norm", index),
            Layer(f"{block}.layernorm_after", ("blocks", "norm2"), "layer_norm", index),
        ]
    rows.append(Layer("backbone.layernorm", ("norm",), "layer_norm"))
    for i in range(2):
        rows.append(Layer(f"head.deconv{i + 1}", (f"deconv{i}",), "conv_transpose"))
        rows.append(norm(f"head.batchnorm{i + 1}", f"deconv{i}_bn"))
    return [*rows, conv("head.conv", "final_layer")]


def _indices(model: ViTPose) -> list[tuple[int, tuple[int, ...]]]:
    """Number of each block, and its place where a scan stacks them."""
    return [(i, (i,) if model.depth > 1 else ()) for i in range(model.depth)]
