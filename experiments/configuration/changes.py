"""Whether a run that goes on has the config that it began with."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from configs import common
from jmpose_jax.errors import InputError

# What may change from start to start: where and how fast things are read and written, not what is computed.
FREE = (
    "init.",
    "eval.",
    "dataset.root",
    "dataset.eval_split",
    "dataset.boxes",
    "dataset.damaged",
    "dataset.num_workers",
    "dataset.num_threads",
    "train.log_every",
    "train.save_every",
    "train.keep",
    "train.mesh_model",
    "train.sharding",
    "train.stall_seconds",
    "train.check_hosts_every",
    "train.evaluate_every",
)
LENGTHS = ("train.steps", "train.epochs")
WHOLE_RUN = ("cosine", "stable")  # schedules that the number of steps shapes


NAMED = 3  # differences that a message spells out; the others are counted
WIDTH = 60  # characters of a value in it


def check_unchanged(before: Mapping[str, Any], now: Mapping[str, Any], quiet: bool = False) -> None:
    """Compare the config of a checkpoint with that of the run that goes on from it.

    More steps or epochs than before are no other config: that is going on. Where the learning rate depends on the
    length of the run, a line on standard error says so.

    Args:
      before: as the checkpoint holds it; keys that it lacks had their defaults.
      now: of this run, as JSON would give it.
      quiet: leave that line out.

    Raises:
      InputError: naming the first keys that differ, with both values, and how many more do.
    """
    defaults = dict(flatten(json.loads(common.base().to_json_best_effort())))
    old, new = defaults | dict(flatten(before)), defaults | dict(flatten(now))
    changed = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
    changed = [key for key in changed if not key.startswith(FREE)]
    longer = [key for key in changed if key in LENGTHS and _is_more(old.get(key), new.get(key))]
    changed = [key for key in changed if key not in longer]
    if longer and not changed and not quiet and new.get("optimizer.schedule") in WHOLE_RUN:
        how = "; ".join(f"config.{key}: {_shown(old, key)} -> {_shown(new, key)}" for key in longer)
        print(
            f"{how}: the {new['optimizer.schedule']} schedule spans the whole run, so the learning rate from here on "
            "is that of a run of the new length",
            file=sys.stderr,
        )
    if changed:
        shown = [f"config.{key}: {_shown(old, key)} -> {_shown(new, key)}" for key in changed[:NAMED]]
        more = len(changed) - len(shown)
        difference = "; ".join(shown) + (f"; and {more} more {'keys' if more > 1 else 'key'}" if more else "")
        raise InputError(
            f"the config is not the one that this workdir's run began with: {difference}; use another workdir, "
            "or go on all the same with --allow_config_change"
        )


def _is_more(before: Any, now: Any) -> bool:
    """Whether a length grew; 0 says that another key gives it."""
    numbers = [x for x in (before, now) if isinstance(x, (int, float)) and not isinstance(x, bool)]
    return len(numbers) == 2 and 0 < before < now


def _shown(config: Mapping[str, Any], key: str) -> str:
    text = json.dumps(config[key]) if key in config else "absent"
    return text if len(text) <= WIDTH else text[: WIDTH - 3] + "..."


def flatten(config: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """(flat key, value) of every leaf of a config."""
    found = []
    for key, value in config.items():
        if isinstance(value, Mapping):
            found += flatten(value, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", value))
    return found
