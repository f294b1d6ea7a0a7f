"""The published models by name, and the two conversions that users call."""

import functools
import re
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.models.hrnet import HRNet
from jmpose_jax.models.raft import RAFT
from jmpose_jax.models.simple_baseline import RESNET_LAYERS, SimpleBaseline
from jmpose_jax.weights import hrnet, raft, simple_baseline
from jmpose_jax.weights.convert import Report, to_mapping, to_variables, unwrap
from jmpose_jax.weights.layers import Layer, flatten

HEAD = "final_layer.weight"
KNOWN = "hrnet_w32, hrnet_w48 (any width, or with _all_scales), simple_baseline_r50, _r101, _r152, raft, raft_small"


def published_model(name: str, num_joints: int = 17) -> nn.Module:
    """The module of a published model.

    Args:
      name: hrnet_wN, hrnet_wN_all_scales (the backbone of TDMI and JM-Pose code, whose last stage feeds every branch),
        simple_baseline_rN, raft or raft_small.
      num_joints: heatmaps of the pose networks.

    Raises:
      InputError: no such model.
    """
    if match := re.fullmatch(r"hrnet_w([1-9]\d*)(_all_scales)?", name):
        return HRNet(width=int(match[1]), num_joints=num_joints, all_scales=match[2] is not None)
    if (match := re.fullmatch(r"simple_baseline_r(\d+)", name)) and int(match[1]) in RESNET_LAYERS:
        return SimpleBaseline(depth=int(match[1]), num_joints=num_joints)
    if name in ("raft", "raft_small"):
        return RAFT(size="basic" if name == "raft" else "small")
    raise InputError(f"no published model is called {name!r}; known are {KNOWN}")


def name_table(module: nn.Module) -> list[Layer]:
    """The name table of a module."""
    if isinstance(module, HRNet):
        return hrnet.hrnet(module)
    if isinstance(module, SimpleBaseline):
        return simple_baseline.simple_baseline(module)
    return raft.raft(module)


def initialise(module: nn.Module, key: jax.Array) -> dict[str, Any]:
    """Fresh variables of a published model's module (traceable)."""
    image = jnp.zeros((1, 64, 64, 3))
    return module.init(key, image, image, iterations=1) if isinstance(module, RAFT) else module.init(key, image)


@functools.lru_cache(maxsize=8)
def abstract_variables(module: nn.Module) -> dict[str, Any]:
    """Shapes of the variables of a published model's module; not to be changed, for it is kept."""
    return jax.eval_shape(lambda key: initialise(module, key), jax.random.key(0))


def convert_state_dict(
    model_name: str, mapping: Mapping[str, Any], *, partial: bool = False, seed: int = 0
) -> tuple[dict[str, Any], Report]:
    """As `from_state_dict`, with an account of every key.

    Args:
      model_name: see `published_model`.
      mapping: see `from_state_dict`.
      partial: keep the initial values of variables that the state dict lacks, and pass over keys that the model has
        no place for (an ImageNet classifier's, say); misshapen keys remain an error.
      seed: of those initial values.

    Returns:
      The variables and the report.

    Raises:
      WeightsError: names every missing, unexpected and misshapen key.
      InputError: no such model.
    """
    mapping = unwrap(mapping)
    head = np.shape(mapping[HEAD]) if HEAD in mapping else ()
    module = published_model(model_name, head[0] if len(head) == 4 else 17)
    abstract = abstract_variables(module)

    def draw(paths: set[tuple[str, ...]]) -> dict[tuple[str, ...], jax.Array]:
        # Compiling the initialisation of what is missing only: that of a whole HRNet takes minutes.
        def chosen(key: jax.Array) -> dict[tuple[str, ...], jax.Array]:
            return {path: leaf for path, leaf in flatten(initialise(module, key)) if path in paths}

        return jax.jit(chosen)(jax.random.key(seed))

    initial = draw if partial else None
    if not isinstance(module, RAFT) or not raft.uses_torchvision_names(mapping):
        return to_variables(model_name, name_table(module), abstract, mapping, initial)
    table = [_torchvision_layer(layer) for layer in name_table(module)]
    return to_variables(f"{model_name} (torchvision names)", table, abstract, mapping, initial)


def from_state_dict(model_name: str, mapping: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of a published model.

    Args:
      model_name: hrnet_w32, hrnet_w48 (_all_scales), simple_baseline_r50 (_r101, _r152), raft or raft_small. The
        number of joints is that of the state dict's head.
      mapping: PyTorch key -> array; "state_dict" and "module." wrappers are taken off. RAFT takes the authors' and
        torchvision's names.

    Returns:
      {"params": …, "batch_stats": …} of float32 NumPy arrays. Other float types are cast, and a warning is logged.

    Raises:
      WeightsError: names every missing, unexpected and misshapen key.
      InputError: no such model.
    """
    return convert_state_dict(model_name, mapping)[0]


def to_state_dict(model_name: str, variables: Mapping[str, Any], *, names: str = "original") -> dict[str, np.ndarray]:
    """The state dict of a published model, the inverse of `from_state_dict`.

    Args:
      model_name: see `from_state_dict`.
      variables: {"params": …, "batch_stats": …}.
      names: "original", or "torchvision" for RAFT under torchvision's names.

    Returns:
      PyTorch key -> float32 array; the batch counters, which the variables do not hold, are 0.

    Raises:
      InputError: the variables are not those of the model, or no such model or names.
    """
    module = published_model(model_name)
    if names not in ("original", "torchvision") or (names == "torchvision" and not isinstance(module, RAFT)):
        raise InputError(f"names={names!r}: {model_name} has original names" + ("" if names == "original" else " only"))
    head = variables.get("params", {}).get("final_layer")
    if head is not None:
        module = published_model(model_name, head["kernel"].shape[-1])
    _check_shapes(model_name, abstract_variables(module), variables)
    table = name_table(module)
    if names == "torchvision":
        table = [_torchvision_layer(layer) for layer in table]
    return to_mapping(model_name, table, variables)


def _check_shapes(model_name: str, abstract: Mapping[str, Any], variables: Mapping[str, Any]) -> None:
    """Names alone do not tell an HRNet of one width from another."""
    needed, found = ({path: tuple(leaf.shape) for path, leaf in flatten(tree)} for tree in (abstract, variables))
    for path in sorted(needed.keys() | found.keys()):
        if needed.get(path) != found.get(path):
            shapes = [list(tree[path]) if path in tree else "absent" for tree in (found, needed)]
            raise InputError(
                f"the variables are not those of {model_name}: {'/'.join(path)} is {shapes[0]}, "
                f"in {model_name} it is {shapes[1]}"
            )


def _torchvision_layer(layer: Layer) -> Layer:
    """The layer under torchvision's name, which is its only one."""
    return Layer(raft.torchvision_name(f"{layer.torch}.").removesuffix("."), layer.path, layer.kind, layer.index)
