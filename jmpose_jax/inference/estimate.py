"""From a batch of clips to joints in image pixels: model, flip test, decoding, way back to the image."""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.errors import FlaxError

from jmpose_jax.errors import InputError
from jmpose_jax.ops import heatmaps
from jmpose_jax.records import ClipBatch, PoseOutput
from jmpose_jax.skeletons import Skeleton

HEATMAP_STRIDE = 4

Variables = Mapping[str, Any]
HeatmapFunction = Callable[[Variables, ClipBatch], jax.Array]


def mirror(batch: ClipBatch) -> ClipBatch:
    """The batch seen in a mirror: frames and flow flipped left to right, the flow's x negated; labels untouched."""
    flow = batch.flow
    if flow is not None:
        flow = flow[..., ::-1, :] * jnp.array([-1.0, 1.0], flow.dtype)
    return batch.replace(frames=batch.frames[..., ::-1, :], flow=flow)


def run_model(model: nn.Module, variables: Variables, batch: ClipBatch, source: str = "the model") -> Any:
    """What the model makes of a batch, with variables that may be another model's.

    The variables are compared with the model's own only where it cannot run: to find out what those are takes as long
    as to trace the model once more.

    Args:
      model: module with `apply(variables, batch)`.
      variables: {"params": …, "batch_stats": …}.
      batch: clips.
      source: where the variables come from, for the message.

    Raises:
      InputError: the variables are not the model's; it names the first that is missing, unexpected or misshapen.
    """
    try:
        return model.apply(variables, batch)
    except (FlaxError, TypeError, ValueError):
        from jmpose_jax.train.state import check_same_structure  # with the optimisers

        expected = jax.eval_shape(model.init, jax.random.key(0), batch)
        try:
            check_same_structure(expected, variables, "variables")
        except ValueError as misfit:
            raise InputError(
                f"{source} does not hold the variables of the model that its config describes: {misfit}; "
                "use a whole checkpoint of it"
            ) from None
        raise


def model_heatmaps(
    model: nn.Module,
    skeleton: Skeleton,
    *,
    flip_test: bool = False,
    shift: bool = True,
    select: Callable[[PoseOutput], jax.Array] = lambda output: output.heatmaps,
    source: str = "the model",
) -> HeatmapFunction:
    """The final heatmaps of a model as a function of variables and batch.

    Args:
      model: `model.apply(variables, batch) -> PoseOutput`.
      skeleton: joint order of the heatmaps, for the flip test.
      flip_test: average with the heatmaps of the mirrored clip.
      shift: move the mirrored heatmaps one pixel to the right before averaging, as the lineage does.
      select: which heatmaps [B, h, w, K] of the output to take.
      source: see `run_model`.

    Returns:
      Function (variables, batch) -> float32 [B, h, w, K].
    """

    def apply(variables: Variables, batch: ClipBatch) -> jax.Array:
        maps = select(run_model(model, variables, batch, source))
        if not flip_test:
            return maps
        mirrored = select(model.apply(variables, mirror(batch)))
        return heatmaps.flip_average(maps, mirrored, skeleton.flip_permutation, shift=shift)

    return apply


def estimator(
    heatmap_function: HeatmapFunction, *, decode: str = "dark", blur_kernel: int = 11
) -> Callable[[Variables, ClipBatch], tuple[jax.Array, jax.Array]]:
    """Joints in image pixels and their scores, as one function to jit.

    Args:
      heatmap_function: (variables, batch) -> heatmaps [B, h, w, K].
      decode: "argmax", "quarter_offset" or "dark".
      blur_kernel: side of DARK's Gaussian, heatmap pixels, odd.

    Returns:
      Function (variables, batch) -> (keypoints float32 [B, K, 2] in image pixels, scores float32 [B, K]); a score is
      the heatmap's maximum times the box's score (methods of DCPose, TDMI and JM-Pose).
    """

    def estimate(variables: Variables, batch: ClipBatch) -> tuple[jax.Array, jax.Array]:
        maps = heatmap_function(variables, batch)
        coordinates, maxima = heatmaps.decode(maps, method=decode, blur_kernel=blur_kernel)
        return to_image(coordinates * HEATMAP_STRIDE, batch.transform), maxima * batch.box_score[:, None]

    return estimate


def to_image(points: jax.Array, transform: jax.Array) -> jax.Array:
    """Crop pixels [B, K, 2] to image pixels by each clip's affine [B, 2, 3]."""
    linear, offset = transform[:, :, :2], transform[:, :, 2]
    return jnp.einsum("bkj,bij->bki", points, linear, precision=jax.lax.Precision.HIGHEST) + offset[:, None]
