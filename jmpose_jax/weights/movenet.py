"""The published graphs of MoveNet (TensorFlow.js, float16) to variables: one name table, every weight accounted for."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from jmpose_jax.checks import field
from jmpose_jax.errors import InputError
from jmpose_jax.models.movenet.network import STAGES, VARIANTS

ROOT = "StatefulPartitionedCall/"
PYRAMID = f"{ROOT}center_net_mobile_net_v2fpn_feature_extractor/model_1/"
TRUNK = f"{PYRAMID}model/"
# The order in which the graphs number the layers of their heads.
HEAD_ORDER = ("center", "box_scale", "box_offset", "kpt_heatmap", "kpt_regress", "kpt_offset")
FEWEST = 200  # numbers of a kernel; what is smaller, or no kernel, and not in the table is a constant of the decoding


def name_table(variant: str) -> dict[str, str]:
    """Our module, with slashes -> the node of the graph whose second and third inputs are its kernel and bias."""
    table = {
        "stem": f"{TRUNK}Conv1_relu/Relu6",
        "block_0/depthwise": f"{TRUNK}expanded_conv_depthwise/depthwise",
        "block_0/project": f"{TRUNK}expanded_conv_project_BN/FusedBatchNormV3",
        "last": f"{TRUNK}out_relu/Relu6",
    }
    for block in range(1, sum(blocks for blocks, _ in STAGES)):
        table[f"block_{block}/expand"] = f"{TRUNK}block_{block}_expand_relu/Relu6"
        table[f"block_{block}/depthwise"] = f"{TRUNK}block_{block}_depthwise/depthwise"
        table[f"block_{block}/project"] = f"{TRUNK}block_{block}_project_BN/FusedBatchNormV3"
    for i in range(4):
        table[f"lateral_{i}"] = f"{PYRAMID}conv2d{_suffix(i)}/BiasAdd"
    for i in range(3):
        table[f"fuse_{i}/depthwise"] = f"{PYRAMID}separable_conv2d{_suffix(i)}/separable_conv2d/depthwise"
        table[f"fuse_{i}/pointwise"] = f"{PYRAMID}re_lu{_suffix(i)}/Relu"
    heads = [name for name in HEAD_ORDER if name in VARIANTS[variant].heads]
    for i, name in enumerate(heads):
        node = f"{ROOT}{name}_0/"
        table[f"{name}_hidden/depthwise"] = f"{node}separable_conv2d_{i + 3}/separable_conv2d/depthwise"
        table[f"{name}_hidden/pointwise"] = f"{node}re_lu_{i + 3}/Relu"
        table[name] = f"{node}conv2d_{i + 4}/BiasAdd"
    return table


def _suffix(number: int) -> str:
    return f"_{number}" if number else ""


def convert_graph(variant: str, graph: Mapping[str, Any], data: bytes, where: str) -> dict[str, Any]:
    """The variables of a published graph.

    Args:
      variant: of `MoveNet`.
      graph: the content of its `model.json`.
      data: the bytes of its weights, all shards one after another.
      where: for messages.

    Returns:
      {"params": …}, float32.

    Raises:
      InputError: the graph is of another model, or its weights are cut short, left over or not finite.
    """
    weights = read_weights(graph, data, where)
    nodes = {field(n, "name", str, where): n for n in field(graph.get("modelTopology"), "node", list, where)}
    params: dict[str, Any] = {}
    used = set()
    for ours, theirs in name_table(variant).items():
        if theirs not in nodes:
            raise InputError(f"{where}: no node {theirs!r}; this is no graph of movenet_{variant}")
        given = [name for name in field(nodes[theirs], "input", list, f"{where}: {theirs}") if name in weights]
        used |= set(given)
        kernel, *bias = (weights[name].astype(np.float32) for name in given)
        if "depthwise" in ours:
            kernel = kernel.transpose(0, 1, 3, 2)  # [h, w, C, 1] of TensorFlow
        *path, last = ours.split("/")
        place = params
        for part in path:
            place = place.setdefault(part, {})
        place[last] = {"kernel": kernel} | ({"bias": bias[0]} if bias else {})
        if not all(np.isfinite(array).all() for array in (kernel, *bias)):
            raise InputError(f"{where}: the weights of {theirs!r} are not finite; fetch the file again")
    left = [name for name, a in weights.items() if name not in used and a.ndim == 4 and a.size > FEWEST]
    if left:
        raise InputError(f"{where}: {len(left)} weights such as {left[0]!r} are of no layer of movenet_{variant}")
    return {"params": params}


def read_weights(graph: Mapping[str, Any], data: bytes, where: str) -> dict[str, np.ndarray]:
    """The arrays of a graph by their names, in the types that they are stored in.

    Raises:
      InputError: the manifest is damaged, or the data are not of its length.
    """
    found, offset = {}, 0
    for name, shape, dtype in _manifest(graph, where):
        count = math.prod(shape)
        if offset + count * dtype.itemsize > len(data):
            raise InputError(f"{where}: its weights end after {len(data)} bytes, in {name!r}; fetch the file again")
        found[name] = np.frombuffer(data, dtype, count, offset).reshape(shape)
        offset += count * dtype.itemsize
    if offset != len(data):
        raise InputError(f"{where}: {len(data) - offset} bytes of weights are left over; fetch the file again")
    return found


def _manifest(graph: Mapping[str, Any], where: str) -> Iterator[tuple[str, list[int], np.dtype]]:
    for group in field(graph, "weightsManifest", list, where):
        for entry in field(group, "weights", list, where):
            name = field(entry, "name", str, where)
            quantized = field(entry, "quantization", dict, where, {})
            kind = field(quantized or entry, "dtype", str, f"{where}: {name}")
            if kind not in ("float32", "float16", "int32"):
                raise InputError(f"{where}: {name!r} is of type {kind!r}; float32, float16 and int32 are read")
            shape = [int(n) for n in field(entry, "shape", list, f"{where}: {name}")]
            yield name, shape, np.dtype(kind)
