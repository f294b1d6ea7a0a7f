"""The paper's tables 5 and 6 on the embedded data set: what each part of JM-Pose is worth, three seeds a row.

Every row changes one thing of the full model; the figures beside them are the paper's mAP on PoseTrack2017. TDMI, the
last row of table 5, is another system and not here.

Variants: those of configs/jmpose.py, and
  tiny_paper: tiny as the paper has it: heatmaps from J and M alone, aggregated by residual steps blocks, nothing moved
    along the joints' motion, and the information objective of standardised features in units of the heatmap loss.

  jmpose grid --config configs/jmpose_ablation.py --workdir runs/ablation \
    --config.dataset.root=DIR --config.init.backbone=runs/backbone
"""

from typing import Any

from ml_collections import ConfigDict

from configs import jmpose

ROWS = (
    {"name": "JM-Pose", "paper": 86.4},
    {"name": "JM-Pose* (feature differences)", "paper": 85.9, "model.motion_encoder.kind": "feature_difference"},
    {"name": "w/o CJL", "paper": 85.6, "model.context_aware_joint_learner.kind": "projection"},
    {"name": "w/o JMML", "paper": 84.6, "model.mutual_learning.kind": "none"},
    {"name": "(a) w/o JMIB", "paper": 85.0, "model.mutual_learning.kind": "identity"},
    {"name": "(b) w/o L_IO", "paper": 85.8, "loss.alpha": 0.0},
)


def get_config(variant: str = "tiny") -> ConfigDict:
    config = jmpose.get_config("tiny" if variant == "tiny_paper" else variant)
    if variant == "tiny_paper":
        config.model.head.residual = False
        config.model.heatmap_aggregation.update({"method": "rsb", "alignment": "none"})
        config.model.predictors.update({"features": "standardized", "kernel_init": "zeros"})
        config.loss.normalization, config.loss.alpha = "heatmap_loss", 0.1
        for term in ("relevancy", "complement", "redundancy"):
            config.loss.weights[term] = 1.0
    if "offset_groups" in config.model.context_aware_joint_learner:  # they divide the channels, for JM-Pose* too
        config.model.motion_encoder.offset_groups = config.model.context_aware_joint_learner.offset_groups
    return config


def get_grid() -> dict[str, Any]:
    return {"method": ROWS, "seed": (0, 1, 2)}
