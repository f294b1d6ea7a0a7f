"""What of a config would make no sense, refused before anything is read."""

import re

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


def check_limits(config: ConfigDict) -> None:
    """Raises InputError that names the first number out of range, or a backbone that is frozen and to be trained."""
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
