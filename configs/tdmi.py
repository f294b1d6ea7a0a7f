"""TDMI: temporal differences of features, disentangled into motion of use and noise, on the backbone of stage 1.

Variants:
  tiny (default): on the embedded data set, frozen backbone, the information terms in their sign-correct form.
    Give --config.init.backbone=runs/backbone.
  paper: HRNet-W48, 384x288, delta 2, PoseTrack's 17 slots, the backbone trained too, 20 epochs of Adam at 1e-3 with
    batches of 24, decays after 6, 12 and 18 epochs, flip test and DARK, and the terms as the public code computes them.
    Give --config.init.backbone.

  jmpose train --config configs/tdmi.py:tiny --workdir runs/tdmi --config.dataset.root=DIR \
    --config.init.backbone=runs/backbone
"""

from ml_collections import ConfigDict

from configs import common

TERMS = (
    "useful_noisy",
    "motion_useful",
    "useful_appearance",
    "useful_fused",
    "appearance_fused",
    "useful_label",
    "appearance_label",
)


def get_config(variant: str = "tiny") -> ConfigDict:
    config = common.base()
    config.dataset.delta = 2
    config.model = ConfigDict({"name": "tdmi", "backbone_trainable": False})
    config.model.motion_encoder = ConfigDict({"offset_groups": 12, "mask_activation": "none"})
    config.model.appearance_encoder = ConfigDict({"offset_groups": 12, "mask_activation": "none"})
    # What the terms of information are: vsd_public (as published), vml_js, vml_kl, vsd (larger where two agree).
    config.loss.estimator = "vsd_public"
    config.loss.temperature = 0.05  # of the softmax over the pixels of heatmaps
    config.loss.feature_temperature = 0.05  # the same of features
    config.loss.alpha = 1.0  # of the useful motion's terms
    config.loss.beta = 1.0  # of what motion and appearance share with each other and with their fusion
    config.loss.gamma = 1.0  # of what they say of the heatmaps
    for term in TERMS:
        config.loss.weights[term] = 1.0  # further factor of the term
    if variant == "tiny":
        common.embedded(config)
        config.dataset.complete_windows = True
        config.model.backbone = common.tiny_hrnet()
        for encoder in (config.model.motion_encoder, config.model.appearance_encoder):
            encoder.update({"offset_groups": 4, "mask_activation": "sigmoid"})
        config.model.appearance_encoder.fusion_blocks = 1
        config.model.update({"channels": 16, "hidden": 32, "fusion_blocks": 1, "kernel_init": "fan_in"})
        config.optimizer.frozen = ("backbone/",)
        config.loss.estimator = "vml_js"
        config.loss.temperature = 0.1
        config.loss.feature_temperature = 1.0
        common.short_stage_two(config)
    elif variant == "paper":
        config.dataset.skeleton = "posetrack17"
        config.model.backbone = ConfigDict({"width": 48})
        config.model.backbone_trainable = True
        config.optimizer.name = "adam"
        config.optimizer.learning_rate = 1e-3
        config.optimizer.boundaries = (6.0, 12.0, 18.0)
        config.train.batch_size = 24
    else:
        raise ValueError(f"configs/tdmi.py has no variant {variant!r}; use tiny or paper")
    return config
