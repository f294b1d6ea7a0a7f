"""The published models by name, and the two conversions that users call."""

import dataclasses
import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.models.backbones.hrnet import HRNet
from jmpose_jax.models.backbones.simple_baseline import RESNET_LAYERS, SimpleBaseline
from jmpose_jax.models.backbones.vitpose import ViTPose
from jmpose_jax.models.raft.network import RAFT
from jmpose_jax.weights import hrnet, raft, sequences, simple_baseline, videos, vitpose
from jmpose_jax.weights.convert import Report, to_mapping, to_variables
from jmpose_jax.weights.layers import Entry, Layer, entries, flatten
from jmpose_jax.weights.prefixes import Found, find, flat, in_common

HEAD = "final_layer.weight"
KNOWN = (
    "hrnet_w32, hrnet_w48 (any width, or with _all_scales), simple_baseline_r50, _r101, _r152, raft, raft_small, "
    "vitpose_s, _b, _l, _h (or with _simple), "
    f"{', '.join(sequences.MODULES)}, {', '.join(videos.BACKBONES)} (or with _wN of HRNet's width)"
)


def published_model(name: str, num_joints: int = 17) -> nn.Module:
    """The module of a published model.

    Args:
      name: hrnet_wN, hrnet_wN_all_scales (the backbone of TDMI and JM-Pose code, whose last stage feeds every branch),
        simple_baseline_rN, vitpose_s (_b, _l, _h, _simple), raft, raft_small, a key of `sequences.MODULES`
        (in its default size), or one of `videos.BACKBONES`.
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
    if name in sequences.MODULES:
        return sequences.MODULES[name]()
    if (found := vitpose.module(name, num_joints)) is not None:
        return found
    if videos.of_name(name):
        return videos.module(name, num_joints)
    raise InputError(f"no published model is called {name!r}; known are {KNOWN}")


def name_table(module: nn.Module) -> list[Layer]:
    """The name table of a module."""
    if isinstance(module, HRNet):
        return hrnet.hrnet(module)
    if isinstance(module, SimpleBaseline):
        return simple_baseline.simple_baseline(module)
    if isinstance(module, videos.VideoModule):
        return videos.table(module)
    if isinstance(module, ViTPose):
        return vitpose.table(module)
    return raft.raft(module) if isinstance(module, RAFT) else sequences.table(module)


def initialise(module: nn.Module, key: jax.Array) -> dict[str, Any]:
    """Fresh variables of a published model's module (traceable)."""
    if isinstance(module, sequences.SequenceModule):
        return module.init(key, sequences.example(module))
    if isinstance(module, videos.VideoModule):
        return module.init(key, videos.example(module))
    image = jnp.zeros((1, 64, 64, 3))
    return module.init(key, image, image, iterations=1) if isinstance(module, RAFT) else module.init(key, image)


@functools.lru_cache(maxsize=16)
def abstract_variables(module: nn.Module) -> dict[str, Any]:
    """Shapes of the variables of a published model's module; not to be changed, for it is kept."""
    return jax.eval_shape(lambda key: initialise(module, key), jax.random.key(0))


@functools.lru_cache(maxsize=16)
def _entries(module: nn.Module, names: str = "original") -> tuple[Entry, ...]:
    """The tensors of a module's state dict, under a key of `_tables`."""
    leaves = {path: tuple(leaf.shape) for path, leaf in flatten(abstract_variables(module))}
    return tuple(entries(_tables(module)[names], leaves))


def _tables(module: nn.Module) -> dict[str, list[Layer]]:
    """The name tables of a module by whose they are; RAFT and ViTPose have a second one, of another library."""
    table = name_table(module)
    if isinstance(module, RAFT):
        return {"original": table, "torchvision": [_torchvision_layer(layer) for layer in table]}
    if isinstance(module, ViTPose):
        return {"original": table, "transformers": vitpose.transformers_table(module)}
    return {"original": table}


def _find(module: nn.Module, mapping: Mapping[str, Any], prefix: str | None = None) -> tuple[Found, str]:
    """The tensors of a module in a file, by the table whose names match more, and that table's key."""
    tried = []
    for whose in _tables(module):
        names = {key: entry.key for entry in _entries(module, whose) for key in (entry.key, *entry.aliases)}
        tried.append((find(mapping, names, prefix), whose))
    return max(tried, key=lambda one: one[0].matched)


def looks_like(mapping: Mapping[str, Any]) -> tuple[str, int, int] | None:
    """The published model that a file's names and shapes fit best.

    Returns:
      Its name, how many of its keys fit and how many it has; None where no model has half of its keys there.
    """
    keys = flat(mapping)
    candidates = [f"simple_baseline_r{depth}" for depth in (50, 101, 152)] + ["raft", "raft_small"]
    # The first convolution of the first branch tells HRNet's width.
    first = next((value for key, value in keys.items() if key.endswith("transition1.0.0.weight")), None)
    if first is not None and len(first.shape) == 4 and 0 < first.shape[0] <= 256:
        width = first.shape[0]
        candidates = [f"hrnet_w{width}", f"hrnet_w{width}_all_scales"]
        for name, prefix in videos.BACKBONES.items():
            if any(f"{prefix}." in key for key in keys):
                candidates.append(name if width == 48 else f"{name}_w{width}")
    elif widths := [value.shape[-1] for key, value in keys.items() if key.endswith(vitpose.POSITIONS)]:
        sizes = [size for size, (width, *_) in vitpose.SIZES.items() if width == widths[0]]
        candidates = [f"vitpose_{size}{decoder}" for size in sizes for decoder in ("", "_simple")] or candidates
    heads = (tuple(value.shape) for key, value in keys.items() if key.endswith(HEAD))
    joints = next((shape[0] for shape in heads if len(shape) == 4 and shape[0]), 17)
    fits = []
    for name in candidates:
        module = published_model(name, joints)
        found, whose = _find(module, mapping)
        known = _entries(module, whose)
        count = 0
        for entry in known:
            value = next((found.tensors[key] for key in (entry.key, *entry.aliases) if key in found.tensors), None)
            # The head may have any number of joints.
            skip = 1 if "final_layer." in entry.key or entry.key.startswith("head.conv.") else 0
            count += value is not None and tuple(value.shape)[skip:] == tuple(entry.shape)[skip:]
        fits.append((count / len(known), count, len(known), name))
    share, count, needed, name = max(fits)
    return (name, count, needed) if share >= 0.5 else None


def _hints(model_name: str, mapping: Mapping[str, Any]) -> Callable[[int, int], list[str]]:
    """What a refusal says first."""

    def hints(matched: int, needed: int) -> list[str]:
        said = [f"{matched} of the model's {needed} keys match"]
        if 2 * matched < needed and (common := in_common(flat(mapping))):
            said.append(common)
        like = looks_like(mapping)
        if like is not None and like[0] != model_name:
            return [*said, f"it looks like {like[0]} ({like[1]} of {like[2]} fit): give --model={like[0]}"]
        if 2 * matched < needed:
            return [*said, "no known model has half of its keys there" if like is None else "the naming is another"]
        return [*said, "use the checkpoint or the model name that belongs to it"]

    return hints


def convert_state_dict(
    model_name: str, mapping: Mapping[str, Any], *, partial: bool = False, seed: int = 0, prefix: str | None = None
) -> tuple[dict[str, Any], Report]:
    """As `from_state_dict`, with an account of every key.

    Args:
      model_name: see `published_model`.
      mapping: see `from_state_dict`.
      partial: keep the initial values of variables that the state dict lacks, and pass over keys that the model has
        no place for (an ImageNet classifier's, say); misshapen keys remain an error, and so does a file that has fewer
        than half of the model's keys.
      seed: of those initial values.
      prefix: what stands before the model's keys; None finds it, and of several copies takes the one not averaged.

    Returns:
      The variables and the report.

    Raises:
      WeightsError: keeps every missing, unexpected and misshapen key.
      InputError: no such model, values that are not finite or no floating-point numbers, or several copies of the
        model of which none is the obvious one.
    """
    found, whose = _find(published_model(model_name), mapping, prefix)
    if found.doubt:
        raise InputError(found.doubt)
    module = _sized(model_name, found.tensors)
    abstract = abstract_variables(module)

    def draw(paths: set[tuple[str, ...]]) -> dict[tuple[str, ...], jax.Array]:
        # Compiling the initialisation of what is missing only: that of a whole HRNet takes minutes.
        def chosen(key: jax.Array) -> dict[tuple[str, ...], jax.Array]:
            return {path: leaf for path, leaf in flatten(initialise(module, key)) if path in paths}

        return jax.jit(chosen)(jax.random.key(seed))

    variables, report = to_variables(
        model_name if whose == "original" else f"{model_name} ({whose} names)",
        _tables(module)[whose],
        abstract,
        found.tensors,
        draw if partial else None,
        found.outside,
        _hints(model_name, mapping),
    )
    ignored = (*report.ignored, *found.ignored)
    return variables, dataclasses.replace(
        report, ignored=ignored, prefix=found.prefix, copies=found.copies, of_training=found.of_training
    )


def _sized(model_name: str, tensors: Mapping[str, Any]) -> nn.Module:
    """The module of a published model in the size of its tensors: joints of a head, all of a sequence network's."""
    if model_name in sequences.MODULES:
        return sequences.module_of_file(model_name, tensors)
    module = published_model(model_name)
    if isinstance(module, ViTPose):
        return vitpose.sized(module, tensors)
    key = videos.head_key(module) if isinstance(module, videos.VideoModule) else HEAD
    head = np.shape(tensors[key]) if key in tensors else ()
    return published_model(model_name, head[0] if len(head) == 4 and head[0] else 17)


def from_state_dict(model_name: str, mapping: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of a published model.

    Args:
      model_name: hrnet_w32, hrnet_w48 (_all_scales), simple_baseline_r50 (_r101, _r152), vitpose_b (_s, _l, _h,
        _simple), raft, raft_small, dcpose, tdmi, hanet, deciwatch or smoothnet. The number of joints is
        that of the state dict's head, and the size of the last three that of its tensors.
      mapping: PyTorch key -> array. What trainers write around it ("state_dict", "module.", "model.", "backbone.", …,
        alone or combined) is taken off; of plain and averaged weights the plain ones are taken. RAFT takes the authors'
        and torchvision's names.

    Returns:
      {"params": …, "batch_stats": …} of float32 NumPy arrays. Other float types are cast, and a warning is logged.

    Raises:
      WeightsError: keeps every missing, unexpected and misshapen key, and names three of each.
      InputError: no such model, or values that are not finite.
    """
    return convert_state_dict(model_name, mapping)[0]


def to_state_dict(model_name: str, variables: Mapping[str, Any], *, names: str = "original") -> dict[str, np.ndarray]:
    """The state dict of a published model, the inverse of `from_state_dict`.

    Args:
      model_name: see `from_state_dict`.
      variables: {"params": …, "batch_stats": …}.
      names: "original", "torchvision" for RAFT under torchvision's names, or "transformers" for ViTPose under that
        library's.

    Returns:
      PyTorch key -> float32 array; the batch counters, which the variables do not hold, are 0.

    Raises:
      InputError: the variables are not those of the model, or no such model or names.
    """
    module = published_model(model_name)
    if names not in (known := list(_tables(module))):
        raise InputError(f"names={names!r}: {model_name} has {' and '.join(known)} names" + " only" * (len(known) == 1))
    head = variables.get("params", {}).get("final_layer")
    if model_name in sequences.MODULES:
        module = sequences.module_of_variables(model_name, variables)
    elif isinstance(module, ViTPose):
        module = vitpose.sized_by_variables(module, variables)
    elif isinstance(module, videos.VideoModule):
        module = published_model(model_name, videos.joints_of_variables(variables) or 17)
    elif head is not None:
        module = published_model(model_name, head["kernel"].shape[-1])
    _check_shapes(model_name, abstract_variables(module), variables)
    return to_mapping(model_name, _tables(module)[names], variables)


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
