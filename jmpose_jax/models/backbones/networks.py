"""The image networks that a model can stand on, and how they see the frames of clips."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax

from jmpose_jax.errors import InputError
from jmpose_jax.models.backbones.hrnet import HRNet
from jmpose_jax.models.backbones.simple_baseline import SimpleBaseline
from jmpose_jax.models.backbones.vitpose import ViTPose
from jmpose_jax.models.parts import Part
from jmpose_jax.ops.images import normalize
from jmpose_jax.records import ClipBatch

# Each reads normalised images and returns heatmaps; `finest` picks features of the heatmaps' size, earliest first.
BACKBONE = Part({"hrnet": HRNet, "simple_baseline": SimpleBaseline, "vitpose": ViTPose})


def create_backbone(options: Mapping[str, Any], batch: ClipBatch) -> nn.Module:
    """The image network "backbone" of a model, with a heatmap for every joint of the batch.

    Raises:
      InputError: the options say another number of joints, or are unknown.
    """
    joints = batch.keypoints.shape[1]
    if options.get("num_joints", joints) != joints:
        raise InputError(
            f"backbone.num_joints={options['num_joints']}, but the batch has {joints} joints: leave num_joints out, or "
            "choose the skeleton that the backbone was made for"
        )
    return BACKBONE.create({**options, "num_joints": joints}, name="backbone")


def see_every_frame(
    backbone: nn.Module, frames: jax.Array, train: bool = False, trainable: bool = True
) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    """What an image network sees in the frames of clips, each by itself.

    Args:
      backbone: of `create_backbone`.
      frames: uint8 [B, T, H, W, 3], RGB.
      train: normalise with the batch's statistics, where the network is trainable.
      trainable: False lets no gradient through.

    Returns:
      Heatmaps H, float32 [B, T, h, w, K], and the finest features of the network's stages, each [B, T, h, w, C].
    """
    batch, length, *image = frames.shape
    images = normalize(frames).reshape(batch * length, *image)
    heatmaps, features = backbone(images, train and trainable, return_features=True)
    maps = [m.reshape(batch, length, *m.shape[1:]) for m in (heatmaps, *backbone.finest(features))]
    if not trainable:
        maps = jax.lax.stop_gradient(maps)
    return maps[0], tuple(maps[1:])
