"""DCPose: heatmaps of three frames, merged and corrected, on the frozen backbone of stage 1.

Variants:
  tiny (default): on the embedded data set. Give --config.init.backbone=runs/backbone.
  paper: HRNet-W48, 384x288, PoseTrack's 17 slots, 20 epochs of Adam with batches of 64. The decays (after 4, 8, 12 and
    16 epochs) and the rate are those of the public configurations, which leave the rate at 1e-3 (PoseTrack2017) or set
    1e-4 (2018, taken here). Their DISTANCE 2 is delta 1: the range that neighbours are drawn from ends before it.
    Joints are read off by quarter offsets, without a flip test. Give --config.init.backbone.

  jmpose train --config configs/dcpose.py:tiny --workdir runs/dcpose --config.dataset.root=DIR \
    --config.init.backbone=runs/backbone
"""

from ml_collections import ConfigDict

from configs import common


def get_config(variant: str = "tiny") -> ConfigDict:
    config = common.base()
    config.dataset.delta = 1  # above 1, training draws how far its two neighbours are
    config.model = ConfigDict({"name": "dcpose", "backbone_trainable": False})
    # PCN: deformable convolutions side by side, and what makes their weights of the convolution: none, sigmoid.
    config.model.correction = ConfigDict({"dilations": (3, 6, 9, 12, 15), "mask_activation": "none"})
    config.optimizer.frozen = ("backbone/",)
    if variant == "tiny":
        common.embedded(config)
        config.dataset.complete_windows = True
        config.model.backbone = common.tiny_hrnet()
        config.model.correction.update({"dilations": (1, 3), "mask_activation": "sigmoid"})
        config.model.update({"difference_channels": 15, "combined_channels": 16, "kernel_init": "fan_in"})
        common.short_stage_two(config)
    elif variant == "paper":
        config.dataset.skeleton = "posetrack17"
        config.model.backbone = ConfigDict({"width": 48})
        config.optimizer.name = "adam"
        config.optimizer.boundaries = (4.0, 8.0, 12.0, 16.0)
        config.train.batch_size = 64
        config.eval.flip_test = False
        config.eval.decode = "quarter_offset"
    else:
        raise ValueError(f"configs/dcpose.py has no variant {variant!r}; use tiny or paper")
    return config
