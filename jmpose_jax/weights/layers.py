"""What a name table is made of: which PyTorch entry becomes which leaf of the variables, and how its axes move."""

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

# PyTorch name of a tensor within its layer, the variable collection it goes to, and its name there.
ENTRIES = {
    "conv": (("weight", "params", "kernel"), ("bias", "params", "bias")),
    "conv_transpose": (("weight", "params", "kernel"), ("bias", "params", "bias")),
    "norm": (
        ("weight", "params", "scale"),
        ("bias", "params", "bias"),
        ("running_mean", "batch_stats", "mean"),
        ("running_var", "batch_stats", "var"),
    ),
    "linear": (("weight", "params", "kernel"), ("bias", "params", "bias")),
    "conv1d": (("weight", "params", "kernel"), ("bias", "params", "bias")),
    "tap": (("weight", "params", "kernel"), ("bias", "params", "bias")),  # a convolution of one tap: a linear layer
    "scale": (("weight", "params", "weight"), ("bias", "params", "bias")),  # one of one tap and a group a channel
    "layer_norm": (("weight", "params", "scale"), ("bias", "params", "bias")),
    # Queries, keys and values in one tensor, or one of the three; with us they lie on an axis of their own.
    "thirds": (("weight", "params", "qkv_kernel"), ("bias", "params", "qkv_bias")),
    "third": (("weight", "params", "qkv_kernel"), ("bias", "params", "qkv_bias")),
    "pos_embed": (("pos_embed", "params", "position"),),
    "position_embeddings": (("position_embeddings", "params", "position"),),
    "attention": (("in_proj_weight", "params", "in_kernel"), ("in_proj_bias", "params", "in_bias")),
}
MOVED = ("kernel", "in_kernel", "weight", "qkv_kernel", "qkv_bias")  # leaves whose axes move
# A counter that PyTorch keeps beside the statistics and that nothing reads while the momentum is a constant.
COUNTER = "num_batches_tracked"


@dataclasses.dataclass(frozen=True)
class Layer:
    """One layer of the original.

    Attributes:
      torch: its name in the state dict, e.g. "layer1.0.conv1".
      path: its module path in the variables, e.g. ("layer1", "first", "conv1", "conv").
      kind: a key of ENTRIES.
      index: place on the leading axes where a scan stacks equal layers.
      aliases: other names of the same layer in the state dict.
      unread: the original has it and never reads it, so that a model without it lacks nothing.
    """

    torch: str
    path: tuple[str, ...]
    kind: str
    index: tuple[int, ...] = ()
    aliases: tuple[str, ...] = ()
    unread: bool = False


@dataclasses.dataclass(frozen=True)
class Entry:
    """One tensor: its key in the state dict and its place in the variables.

    Attributes:
      key: key in the state dict.
      aliases: other keys of the same tensor.
      path: collection, modules, leaf.
      index: place on the leading axes of the leaf.
      kind: the layer's kind where axes move, else "plain".
      shape: the tensor's shape in PyTorch's order.
    """

    key: str
    aliases: tuple[str, ...]
    path: tuple[str, ...]
    index: tuple[int, ...]
    kind: str
    shape: tuple[int, ...]


def conv(torch: str, *path: str, index: tuple[int, ...] = ()) -> Layer:
    return Layer(torch, path, "conv", index)


def norm(torch: str, *path: str, index: tuple[int, ...] = (), aliases: tuple[str, ...] = ()) -> Layer:
    """A batch normalisation; `blocks.BatchNorm` keeps its values in a submodule "norm"."""
    return Layer(torch, (*path, "norm"), "norm", index, aliases)


def conv_bn(torch_conv: str, torch_bn: str, *path: str, index: tuple[int, ...] = ()) -> list[Layer]:
    """A `blocks.ConvBN` at `path`."""
    return [conv(torch_conv, *path, "conv", index=index), norm(torch_bn, *path, "bn", index=index)]


def to_flax(kind: str, value: np.ndarray) -> np.ndarray:
    """Move the axes of one tensor: [O, I, …] -> […, I, O]; transposed convolutions [I, O, h, w], mirrored."""
    if kind == "conv":
        return value.transpose(2, 3, 1, 0)
    if kind == "conv_transpose":
        # PyTorch's is the gradient of a convolution; Flax's convolves the spread-out input with the kernel as it is.
        return value.transpose(2, 3, 0, 1)[::-1, ::-1]
    if kind in ("linear", "attention", "third"):
        return value.T
    if kind == "thirds":
        parts = value.reshape(3, -1, *value.shape[1:])
        return parts.swapaxes(1, 2) if parts.ndim == 3 else parts
    if kind == "conv1d":
        return value.transpose(2, 1, 0)
    if kind == "tap":
        return value[..., 0].T
    return value[:, 0, 0] if kind == "scale" else value


def to_torch(kind: str, value: np.ndarray) -> np.ndarray:
    """The inverse of `to_flax`."""
    if kind == "conv":
        value = value.transpose(3, 2, 0, 1)
    elif kind == "conv_transpose":
        value = value[::-1, ::-1].transpose(2, 3, 0, 1)
    elif kind in ("linear", "attention", "third"):
        value = value.T
    elif kind == "thirds":
        value = value.swapaxes(1, 2).reshape(-1, value.shape[1]) if value.ndim == 3 else value.reshape(-1)
    elif kind == "conv1d":
        value = value.transpose(2, 1, 0)
    elif kind == "tap":
        value = value.T[..., None]
    elif kind == "scale":
        value = value[:, None, None]
    return np.ascontiguousarray(value)


def torch_shape(kind: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape in PyTorch of a tensor of this shape in Flax."""
    if kind == "conv":
        return tuple(shape[i] for i in (3, 2, 0, 1))
    if kind == "conv_transpose":
        return tuple(shape[i] for i in (2, 3, 0, 1))
    if kind == "thirds":
        return (3 * shape[-1], *shape[1:-1])
    if kind in ("linear", "attention", "third", "conv1d", "tap"):
        return (*shape[::-1], 1) if kind == "tap" else shape[::-1]
    return (*shape, 1, 1) if kind == "scale" else shape


def flatten(tree: Mapping[str, Any], prefix: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """(path, leaf) of nested mappings."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from flatten(value, (*prefix, name))
        else:
            yield (*prefix, name), value


def unflatten(leaves: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    """The inverse of `flatten`."""
    tree: dict[str, Any] = {}
    for path, value in leaves.items():
        node = tree
        for name in path[:-1]:
            node = node.setdefault(name, {})
        node[path[-1]] = value
    return tree


def entries(table: Iterable[Layer], shapes: Mapping[tuple[str, ...], tuple[int, ...]]) -> list[Entry]:
    """The tensors of a table, which may name layers and biases that this configuration does not have.

    Args:
      table: layers in PyTorch's order.
      shapes: shape of every leaf of the variables by its path, collection first.

    Returns:
      One Entry for each tensor that the model has.

    Raises:
      ValueError: the table leaves a part of the variables without a name; a fault of the table.
    """
    found = []
    covered = dict.fromkeys(shapes, 0)
    for layer in table:
        for torch_name, collection, leaf in ENTRIES[layer.kind]:
            path = (collection, *layer.path, leaf)
            if path not in shapes:
                continue
            kind = layer.kind if leaf in MOVED else "plain"
            inner = tuple(shapes[path][len(layer.index) :])
            covered[path] += math.prod(inner)
            found.append(
                Entry(
                    key=f"{layer.torch}.{torch_name}",
                    aliases=tuple(f"{name}.{torch_name}" for name in layer.aliases),
                    path=path,
                    index=layer.index,
                    kind=kind,
                    shape=torch_shape(kind, inner),
                )
            )
    for path, count in covered.items():
        if count != math.prod(shapes[path]):
            raise ValueError(f"the name table covers {count} of {math.prod(shapes[path])} values of {'/'.join(path)}")
    return found
