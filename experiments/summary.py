"""The summary of a config's model that `jmpose train --summary` prints: nothing is read, trained or written."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from experiments.config_limits import check_sizes
from experiments.data import FLOW_STRIDE
from experiments.tasks import model_options, task_of
from jmpose_jax.models.registry import create_model
from jmpose_jax.models.summary import summarize, table
from jmpose_jax.records import ClipBatch
from jmpose_jax.skeletons import SKELETONS


def abstract_batch(config: Mapping[str, Any], batch_size: int = 1) -> ClipBatch:
    """Shapes and dtypes of the batches that the loader makes for a config, no data needed."""
    dataset = config["dataset"]
    frames, (height, width) = 2 * dataset["delta"] + 1, dataset["input_size"]
    joints = SKELETONS[dataset["skeleton"]].num_joints

    def array(*shape: int, dtype: Any = jnp.float32) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((batch_size, *shape), dtype)

    flow = None
    if dataset["flow_source"] in ("dis", "exact") and frames > 1:
        stride = dataset.get("flow_stride", FLOW_STRIDE)
        flow = array(frames - 1, height // stride, width // stride, 2)
    return ClipBatch(
        frames=array(frames, height, width, 3, dtype=jnp.uint8),
        keypoints=array(joints, 2),
        joint_weights=array(joints),
        transform=array(2, 3),
        box_score=array(),
        index=array(dtype=jnp.int32),
        valid=array(),
        flow=flow,
    )


def summary(config: ConfigDict, depth: int | None = 2) -> str:
    """Modules, output shapes, parameters and operations of the model that a config's training builds, on one clip.

    Args:
      config: from a file in `configs/`.
      depth: how far down modules are listed; None lists all.

    Returns:
      The table as text.

    Raises:
      InputError: the config does not describe a model, or one that cannot read the config's clips.
    """
    check_sizes(config)
    told = task_of(config).config  # with what the loss asks of the model: predictors, critics
    rows = summarize(create_model(model_options(told)), abstract_batch(told))
    return f"{told.model.name} on one clip of {told.dataset.input_size} pixels\n{table(rows, depth)}"
