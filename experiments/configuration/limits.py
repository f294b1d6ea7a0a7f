"""What of a config would make no sense, refused before anything is read."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ml_collections import ConfigDict

from jmpose_jax.errors import InputError

LEAST = {
    "train.batch_size": 1,
    "train.accumulate": 1,
    "train.mesh_model": 1,
    "train.steps": 0,
    "train.log_every": 1,
    "train.save_every": 1,
    "train.keep": 1,
    "train.evaluate_every": 0,
    "train.check_hosts_every": 0,
    "train.stall_seconds": 0,
    "train.ema_decay": 0,
    "optimizer.clip_norm": 0,
    "eval.batch_size": 1,
}
# Of these and of the model, a config has those that it needs.
LEAST_SIZES = {
    "dataset.delta": 0,
    "dataset.input_size": 1,
    "dataset.flow_stride": 1,
    "dataset.num_workers": 0,
    "dataset.num_threads": 1,
    "dataset.window": 1,
    "dataset.step": 1,
    "dataset.joints": 1,
    "dataset.dimensions": 2,
    "eval.blur_kernel": 1,
}
ABOVE_0 = (
    "dataset.box_enlarge",
    "loss.sigma",
    "loss.temperature",
    "loss.feature_temperature",
    "model.motion_encoder.flow_scale",
)
# Of a model's numbers.
MAY_BE_0 = (
    "model.motion_encoder.num_blocks",
    "model.context_aware_joint_learner.offset_blocks",
    "model.head.num_blocks",
)


def check_sizes(config: ConfigDict) -> None:
    """Raises InputError that names the first size of the data or the model that no array can have."""
    least = LEAST_SIZES | {key: int(key not in MAY_BE_0) for key, _ in _whole_numbers(config.get("model", {}), "model")}
    for key, smallest in least.items():
        value = _value(config, key)
        numbers = value if isinstance(value, list | tuple) else () if value is None else (value,)
        if not all(number >= smallest for number in numbers):
            which = "each be" if isinstance(value, list | tuple) else "be"
            raise InputError(f"config.{key}={value} must {which} at least {smallest}")
    for key in ABOVE_0:
        value = _value(config, key)
        if value is not None and not 0 < value < math.inf:
            raise InputError(f"config.{key}={value} must be above 0")
    if (size := config.dataset.get("input_size")) is not None and len(size) != 2:
        raise InputError(f"config.dataset.input_size={size} must be two numbers, height and width, e.g. (384, 288)")


def _value(config: Mapping[str, Any], key: str) -> Any:
    """The value of a key with points; None where the config has none."""
    value: Any = config
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping | ConfigDict) else None
    return value


def _whole_numbers(options: Mapping[str, Any], where: str) -> Iterator[tuple[str, Any]]:
    """The whole numbers of a model's config, alone or in tuples, and their keys."""
    for name, value in options.items():
        if isinstance(value, Mapping | ConfigDict):
            yield from _whole_numbers(value, f"{where}.{name}")
        elif all(type(number) is int for number in (value if isinstance(value, list | tuple) else (value,))):
            yield f"{where}.{name}", value


def check_limits(config: ConfigDict) -> None:
    """Raises InputError that names the first number out of range, or a backbone that is frozen and to be trained."""
    check_sizes(config)
    for key, least in LEAST.items():
        section, name = key.split(".")
        value = config[section][name]
        if not value >= least:  # NaN too
            raise InputError(f"config.{key}={value} must be at least {least}")
    if config.train.ema_decay >= 1:
        raise InputError(f"config.train.ema_decay={config.train.ema_decay} must be below 1, e.g. 0.999")
    frozen = [pattern for pattern in config.optimizer.frozen if re.match(pattern, "backbone/")]
    if config.get("model", {}).get("backbone_trainable") and frozen:
        raise InputError(
            f"config.model.backbone_trainable=True, but config.optimizer.frozen holds {frozen[0]!r}: leave it out, "
            "e.g. --config.optimizer.frozen=\"('flow_network/',)\""
        )
    if not config.train.steps and not config.train.epochs > 0:
        raise InputError(f"config.train.epochs={config.train.epochs} must be positive where config.train.steps is 0")
