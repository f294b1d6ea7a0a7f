"""Losses as pure functions from output and batch to {name: (sum, count)}; one objective a system."""

from jmpose_jax.losses.flow import FlowObjective
from jmpose_jax.losses.heatmap import HeatmapObjective, heatmap_loss
from jmpose_jax.losses.jmpose import JMPoseObjective
from jmpose_jax.losses.objective import Objective, create_objective
from jmpose_jax.losses.sequences import DeciWatchObjective, HANetObjective, SmoothNetObjective
from jmpose_jax.losses.tdmi import TDMIObjective
from jmpose_jax.losses.tipsd import TIPSDObjective

__all__ = [
    "DeciWatchObjective",
    "FlowObjective",
    "HANetObjective",
    "HeatmapObjective",
    "JMPoseObjective",
    "Objective",
    "SmoothNetObjective",
    "TDMIObjective",
    "TIPSDObjective",
    "create_objective",
    "heatmap_loss",
]
