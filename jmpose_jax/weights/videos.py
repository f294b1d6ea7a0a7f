"""Names of the whole video models as published: DCPose and TDMI, which stand on HRNet."""

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from flax.core import FrozenDict

from jmpose_jax.models.backbones.networks import BACKBONE
from jmpose_jax.models.dcpose import DCPose
from jmpose_jax.models.tdmi import TDMI
from jmpose_jax.records import ClipBatch
from jmpose_jax.weights import hrnet
from jmpose_jax.weights.blocks import chain_of_basic_blocks, chain_of_rsb_blocks
from jmpose_jax.weights.layers import Layer, conv

# What the backbone is called in a state dict, and δ of the published models.
BACKBONES = {"dcpose": "rough_pose_estimation_net", "tdmi": "hrnet"}
DELTAS = {"dcpose": 1, "tdmi": 2}
# How their authors evaluate them, where it is not how JM-Pose is evaluated.
EVALUATED = {"dcpose": {"flip_test": False, "decode": "quarter_offset"}, "tdmi": {}}
TDMI_GROUPS = 12
VideoModule = DCPose | TDMI


def of_name(name: str) -> tuple[str, int] | None:
    """System and width of HRNet that a model's name says, "dcpose" (of width 48) or "dcpose_w32"; None of others."""
    match = re.fullmatch(rf"({'|'.join(BACKBONES)})(?:_w([1-9]\d*))?", name)
    return (match[1], int(match[2] or 48)) if match else None


def module(name: str, num_joints: int = 17) -> VideoModule:
    """The module of a name that `of_name` knows."""
    made_of, width = of_name(name)
    backbone = FrozenDict(kind="hrnet", width=width, num_joints=num_joints)
    if made_of == "dcpose":
        return DCPose(backbone=backbone)
    # Its features are as wide as the backbone's finest, whose last stage feeds every branch.
    groups = math.gcd(TDMI_GROUPS, width)  # they divide the channels: 12 of the published width
    encoders = (FrozenDict(offset_groups=groups, mask_activation="none") for _ in range(2))
    return TDMI(backbone.copy({"all_scales": True}), *encoders, channels=width)


def system(model: nn.Module) -> str:
    """The key of a module in the tables above."""
    return {DCPose: "dcpose", TDMI: "tdmi"}[type(model)]


def head_key(model: nn.Module) -> str:
    """Key of the tensor whose first axis is the joints."""
    return f"{BACKBONES[system(model)]}.final_layer.weight"


def example(model: VideoModule) -> ClipBatch:
    """The smallest batch that a module takes, to find its variables: zeros."""
    joints, frames = model.backbone["num_joints"], 2 * DELTAS[system(model)] + 1
    empty = jnp.zeros(1)
    return ClipBatch(
        frames=jnp.zeros((1, frames, 32, 32, 3), jnp.uint8),
        keypoints=jnp.zeros((1, joints, 2)),
        joint_weights=jnp.zeros((1, joints)),
        transform=jnp.zeros((1, 2, 3)),
        box_score=empty,
        index=empty,
        valid=empty,
    )


def joints_of_variables(variables: Mapping[str, Any]) -> int | None:
    """Joints of a video model's variables; None where its backbone has no head."""
    head = variables.get("params", {}).get("backbone", {}).get("final_layer")
    return None if head is None else int(head["kernel"].shape[-1])


def config(name: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    """What commands read of a converted model: its module, its clips, and how its authors evaluate it."""
    made = module(name, joints_of_variables(variables))
    model = {"name": system(made), "backbone": dict(made.backbone)}
    if isinstance(made, TDMI):
        encoders = ("motion_encoder", "appearance_encoder")
        model |= {"channels": made.channels} | {part: dict(getattr(made, part)) for part in encoders}
    return {"model": model, "dataset": {"delta": DELTAS[system(made)]}, "eval": dict(EVALUATED[system(made)])}


def table(model: VideoModule) -> list[Layer]:
    """The name table of a module."""
    backbone = BACKBONE.create(model.backbone, name="backbone")
    rows = [
        dataclasses.replace(row, torch=f"{BACKBONES[system(model)]}.{row.torch}", path=("backbone", *row.path))
        for row in hrnet.hrnet(backbone)
    ]
    return rows + (_dcpose(model) if isinstance(model, DCPose) else _tdmi())


def _dcpose(model: DCPose) -> list[Layer]:
    rows = chain_of_rsb_blocks(model.difference_blocks, "diff_temporal_fuse.layers", ("difference",))
    rows += chain_of_rsb_blocks(model.merger_blocks, "support_temporal_fuse.layers", ("merger",))
    rows += chain_of_rsb_blocks(model.combined_blocks, "offset_mask_combine_conv.layers", ("combined",))
    for i, dilation in enumerate((3, 6, 9, 12, 15)):
        path = ("correction", f"dilation{dilation}")
        rows.append(conv(f"offsets_list.{i}.0", *path, "offset_conv"))
        rows.append(conv(f"masks_list.{i}.0", *path, "mask_conv"))
        rows.append(conv(f"modulated_deform_conv_list.{i}.deform_conv", *path))
    return rows


def _tdmi() -> list[Layer]:
    rows: list[Layer] = []

    def blocks(count: int, torch: str, *path: str) -> None:
        rows.extend(chain_of_basic_blocks(count, f"{torch}.layers", path))

    def sampling(prefix: str, suffix: str, *path: str) -> None:
        rows.append(conv(f"{prefix}dcn_offset_{suffix}.conv", *path, "offset_conv"))
        rows.append(conv(f"{prefix}dcn_mask_{suffix}.conv", *path, "mask_conv"))
        rows.append(conv(f"{prefix}dcn_{suffix}", *path))

    for i in range(1, 5):
        blocks(2, f"motion_fusion_s{i}", "motion_encoder", f"fuse{i}")
        if i > 1:
            blocks(1, f"motion_smooth_s{i}", "motion_encoder", f"merge{i}")
    blocks(2, "sup_agg", "appearance_encoder", "aggregation")
    for torch, ours in (("use_motion_structure", "useful"), ("noisy_motion_structure", "noisy")):
        rows += [Layer(f"{torch}.{2 * i}", (ours, f"linear{i + 1}"), "linear") for i in range(2)]
    for i in range(1, 5):
        blocks(1, f"m_a_agg_s{i}", "motion_encoder", f"guide{i}")
        sampling("m_a_", f"s{i}", "motion_encoder", f"sampling{i}")
    blocks(1, "combined_feat_layers", "appearance_encoder", "guide")
    for i in range(1, 5):
        sampling("", str(i), "appearance_encoder", f"sampling{i}")
    blocks(3, "all_agg_block", "appearance_encoder", "fusion")
    blocks(3, "multimodal_fusion.0", "fusion")
    return [*rows, conv("heatmap_head", "head"), Layer("motion_heatmap_head", ("motion_head",), "conv", unread=True)]
