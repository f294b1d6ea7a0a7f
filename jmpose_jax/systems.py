"""The table of systems: what a config's `model.name` stands for, one row each.

A row names what is imported when it is asked for: a command answers a wrong flag before the machinery has loaded.
"""

import dataclasses
import importlib
from typing import Any

from jmpose_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class System:
    """One row.

    Attributes:
      module_name: "package.module:Class" of the Linen module.
      objective_name: "package.module:Class" of its objective.
      evaluation: what a trained model is measured by; "posetrack" of systems that estimate poses.
      data: kind of its batches.
    """

    module_name: str
    objective_name: str
    evaluation: str = "posetrack"
    data: str = "clips"

    @property
    def module(self) -> type:
        """The Linen module: `apply(variables, batch, train=False)` gives what the objective reads."""
        return _named(self.module_name)

    @property
    def objective(self) -> type:
        """The frozen dataclass whose fields are the keys of `config.loss`."""
        return _named(self.objective_name)


SYSTEMS = {
    "image": System("jmpose_jax.models.image_baseline:ImageBaseline", "jmpose_jax.losses.heatmap:HeatmapObjective"),
    "jmpose": System("jmpose_jax.models.jmpose.model:JMPose", "jmpose_jax.losses.jmpose:JMPoseObjective"),
    "dcpose": System("jmpose_jax.models.dcpose:DCPose", "jmpose_jax.losses.heatmap:HeatmapObjective"),
    "tdmi": System("jmpose_jax.models.tdmi:TDMI", "jmpose_jax.losses.tdmi:TDMIObjective"),
    "tipsd": System("jmpose_jax.models.tipsd.model:TIPSD", "jmpose_jax.losses.tipsd:TIPSDObjective"),
    "raft": System(
        "jmpose_jax.models.raft.clip_flow:ClipFlow", "jmpose_jax.losses.flow:FlowObjective", evaluation="endpoint_error"
    ),
    "hanet": System(
        "jmpose_jax.models.sequences.hanet:HANet",
        "jmpose_jax.losses.sequences:HANetObjective",
        evaluation="kinematics",
        data="sequences",
    ),
    "deciwatch": System(
        "jmpose_jax.models.sequences.deciwatch:DeciWatch",
        "jmpose_jax.losses.sequences:DeciWatchObjective",
        evaluation="kinematics",
        data="sequences",
    ),
    "smoothnet": System(
        "jmpose_jax.models.sequences.smoothnet:SmoothNet",
        "jmpose_jax.losses.sequences:SmoothNetObjective",
        evaluation="kinematics",
        data="sequences",
    ),
}


def system(name: str) -> System:
    """The row of a name.

    Raises:
      InputError: there is none.
    """
    if name not in SYSTEMS:
        raise InputError(f"model.name={name!r} is unknown; use one of {', '.join(SYSTEMS)}")
    return SYSTEMS[name]


def _named(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)
