"""Whether a config is that of the checkpoint that is evaluated: the model is the checkpoint's, not the config's."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from configs import common
from experiments.configuration.changes import flatten
from jmpose_jax.errors import InputError
from jmpose_jax.models.parts import KIND, option_names, parts_of
from jmpose_jax.ops.heatmaps import DECODERS
from jmpose_jax.skeletons import SKELETONS
from jmpose_jax.systems import SYSTEMS

# What a model was trained on decides what it can read. Crops of another size, and flow from another source, it can.
READ = ("skeleton", "delta", "flow_source", "flow_pairs", "joints", "dimensions", "coordinates", "roots")
WITH_THE_BATCH = ("dis", "exact")
OF_THE_DATA = ("num_joints",)  # of a part's options: the skeleton says it too
LOSS_ONLY = "model.predictors."  # they only shape what the loss reads
SHOWN = 3
ABSENT = object()


def check_eval(config: Mapping[str, Any]) -> None:
    """Raises InputError that names the first of `config.eval` that nothing can be evaluated with."""
    settings = config["eval"]
    for key, known in (("checkpoint", ("latest", "best")), ("decode", DECODERS)):
        if settings[key] not in known:
            raise InputError(f"config.eval.{key}={settings[key]!r} is unknown; use {', '.join(known)}")
    if settings["batch_size"] < 1:
        raise InputError(f"config.eval.batch_size={settings['batch_size']} must be at least 1")
    if settings["blur_kernel"] < 1 or settings["blur_kernel"] % 2 == 0:
        raise InputError(f"config.eval.blur_kernel={settings['blur_kernel']} must be odd and positive, e.g. 11")


def check_kind(config: Mapping[str, Any], saved: Mapping[str, Any], checkpoint: Any) -> None:
    """Raises InputError where a config is of another kind of model than the checkpoint."""
    ours = config["model"]["name"]
    theirs = saved["model"].get("name", ours)
    if ours != theirs:
        raise InputError(
            f"checkpoint {checkpoint}: its run is of a {theirs}, the config of a {ours} (config.model.name); give the "
            "config of the run, or leave --config out where its config.json is there"
        )


def check_trained(config: Mapping[str, Any], saved: Mapping[str, Any], checkpoint: Any) -> None:
    """Compare a config with the one that a checkpoint was trained with: its model, and what the model reads.

    Args:
      config: of the evaluation.
      saved: as the checkpoint holds it; what it lacks had its default, a converted one knows no data set.
      checkpoint: for the message.

    Raises:
      InputError: naming the keys that differ, with both values.
    """
    check_kind(config, saved, checkpoint)
    now, then = (_described(_plain(each)) for each in (config, saved))
    differ = [key for key in {**then, **now} if now.get(key, ABSENT) != then.get(key, ABSENT)]
    # Of a data set, and of what the loss alone reads, a key that one of them does not name says nothing.
    silent = ("dataset.", LOSS_ONLY)
    free = {f"model.{name}" for name in at_test(config["model"])}
    differ = [key for key in differ if key not in free]
    differ = [key for key in differ if not key.startswith(silent) or (key in now and key in then)]
    computed = any(each["model"].get("flow_network") is not None for each in (config, saved))
    if now.get("dataset.flow_source") == then.get("dataset.flow_source") == "none" and not computed:
        differ = [key for key in differ if key != "dataset.flow_pairs"]
    kinds = [key for key in differ if key.endswith(f".{KIND}")]  # with another kind a part's options are others
    differ = kinds + [key for key in differ if not key.startswith(tuple(key.removesuffix(KIND) for key in kinds))]
    if not differ:
        return
    shown = "; ".join(f"config.{key} is {_shown(now, key)}, its own {_shown(then, key)}" for key in differ[:SHOWN])
    more = f"; and {len(differ) - SHOWN} more" if len(differ) > SHOWN else ""
    raise InputError(
        f"checkpoint {checkpoint} was trained with another config: {shown}{more}; a model runs as it was trained: "
        "leave these as they were, or train another with them"
    )


def at_test(model: Mapping[str, Any]) -> dict[str, Any]:
    """Of a model's config, the options that an evaluation may choose for a trained model: its class's `AT_TEST`."""
    made_of = SYSTEMS[model["name"]].module if model["name"] in SYSTEMS else None
    return {name: model[name] for name in getattr(made_of, "AT_TEST", ()) if name in model}


def _described(config: Mapping[str, Any]) -> dict[str, Any]:
    """Flat key -> value of a config's model, defaults filled in, and of what it reads."""
    dataset = config.get("dataset")
    if dataset is not None:
        defaults = {key: value for base in common.BASES.values() for key, value in _plain(base())["dataset"].items()}
        read = {key: dataset.get(key, defaults[key]) for key in READ}
        if read["flow_source"] in WITH_THE_BATCH:
            read["flow_source"] = " or ".join(WITH_THE_BATCH)
    else:
        head = config.get("source", {}).get("head")
        read = {"skeleton": head} if head in SKELETONS else {}
    return dict(flatten({"model": _complete(config["model"]), "dataset": read}))


def _complete(model: Mapping[str, Any]) -> dict[str, Any]:
    """A model's options with the defaults of those that are not given, its parts' too."""
    if model["name"] not in SYSTEMS:
        return dict(model)
    made_of = SYSTEMS[model["name"]].module
    options = {**_defaults(made_of), **model}
    for name, part in parts_of(made_of).items():
        given = options.get(name)
        if given is None:
            continue
        try:
            kind = part.made_of(given)
        except InputError:  # building the model says it
            continue
        defaults = {option: value for option, value in _defaults(kind).items() if option in part.options(kind)}
        # What only another kind reads is no part of the model.
        options[name] = {**defaults, **{k: v for k, v in given.items() if k not in part.options() or k in defaults}}
        if len(part.kinds) > 1:
            options[name][KIND] = given.get(KIND, next(iter(part.kinds)))
        options[name] = {k: v for k, v in options[name].items() if k not in OF_THE_DATA}
    return options


def _defaults(made_of: type) -> dict[str, Any]:
    """The defaults of a module's options, as JSON has them."""
    fields = [f for f in dataclasses.fields(made_of) if f.name in option_names(made_of) and f.name != "dtype"]
    known = {f.name: f.default for f in fields if f.default is not dataclasses.MISSING}
    return json.loads(json.dumps(known, default=dict))


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON would give it back: tuples are lists."""
    if isinstance(config, ConfigDict):
        return json.loads(config.copy_and_resolve_references().to_json_best_effort())
    return json.loads(json.dumps(config))


def _shown(config: Mapping[str, Any], key: str) -> str:
    return json.dumps(config[key]) if key in config else "absent"
