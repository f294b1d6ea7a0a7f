"""TIPSD, a reconstruction from its supplement: poses between frames, distilled into the key frame's.

Stage 2, on the backbone of stage 1. Every open point of the supplement is an option here (docs/tipsd.md).

Variants:
  tiny (default): on the embedded data set; minutes on two CPU cores.
  paper: HRNet-W48, 384x288, 48 channels; JM-Pose's optimiser, since the supplement gives none. Give
    --config.init.backbone (from `jmpose convert` or configs/backbone.py:w48).

  jmpose train --config configs/tipsd.py:tiny --workdir runs/tipsd --config.dataset.root=DIR \
    --config.init.backbone=runs/backbone
"""

from ml_collections import ConfigDict

from configs import common


def get_config(variant: str = "tiny") -> ConfigDict:
    config = common.base()
    config.dataset.delta = 1  # frames t - 1, t, t + 1
    # L_s synthesizes the key frame from its neighbours: clips that lack one are left out of training.
    config.dataset.complete_windows = True
    config.model = ConfigDict({"name": "tipsd", "backbone_trainable": False})
    config.model.skeleton = config.dataset.get_ref("skeleton")  # whose joints part_groups name
    # Group -> names of its joints, e.g. {"head": ("nose", "head_top")}; empty for arms, legs and head.
    config.model.part_groups = ConfigDict()
    config.model.interim = "synthesized"  # maps at t +- 1/2: or blend (straight, no synthesizer), none
    config.model.interim_at_test = "as_trained"  # or blend: the synthesizer, once trained, is left out of evaluation
    config.model.consistency = True  # train the synthesizer on the frames in reverse order too
    config.model.fusion_blocks = 3  # residual blocks over the key frame's and the groups' features
    # What is sampled: the straight blend, or each of both maps with offsets of its own ("ends").
    config.model.synthesizer = ConfigDict({"sampling": "blend", "heatmap_blocks": 1, "num_blocks": 2})
    config.model.part_features = ConfigDict({"num_blocks": 2})
    config.model.head = ConfigDict({"num_blocks": 0, "residual": False})
    # What the information terms read. com: vsd, vml_js, vml_kl; var: vml_js, vml_kl, hinge; red: vml_js, vml_kl, or on
    # samples club, vclub_s, l1out, infonce, mine, nwj. complementary: sufficient, I(y; f), or conditional, I(y; f | F).
    config.model.predictors = ConfigDict(
        {
            "estimators": {"com": "vsd", "var": "vml_js", "red": "vml_js"},
            "complementary": "sufficient",
            "features": "standardized",
            "kernel_init": "zeros",
        }
    )
    config.optimizer.frozen = ("backbone/",)
    config.loss.temperature = 0.1  # of the softmax over pixels of heatmaps in the information terms
    config.loss.feature_temperature = 1.0  # of features, in L_var and L_red
    config.loss.normalization = "heatmap_loss"  # all gamma at 1 start near L_H; or pixels, nats over pixels
    config.loss.teacher = "labels"  # L_com: labels teach the groups; or output teaches them, or groups the output
    config.loss.gamma = ConfigDict()  # the best of the supplement's tables I and II
    config.loss.gamma.info = 1.0  # of L_info
    config.loss.gamma.s = 0.1  # of L_s
    config.loss.gamma.com = 1.0  # of L_com within L_info
    config.loss.gamma.var = 1.0  # of L_var within L_info
    config.loss.gamma.red = 1.0  # of L_red within L_info
    config.loss.weights.com = 1.0  # beside gamma, as those of var and red
    config.loss.weights.var = 1.0  # beside gamma
    config.loss.weights.red = 1.0  # beside gamma
    config.loss.weights.synthesis = 1.0  # of the skipped key frame in L_s
    config.loss.weights.consistency = 1.0  # of the frames in reverse order in L_s
    config.loss.weights.predictor_fit = 1.0  # of the fit of what the information terms read with
    if variant == "tiny":
        common.embedded(config)
        config.loss.weights.predictor_fit = config.loss.weights.heatmap
        # At 1 fresh features have 4 to 8 % of what they could have in common, and nothing is left to lower; at 2, 55 to
        # 63 % (first batch of the embedded data set).
        config.loss.feature_temperature = 2.0
        config.model.backbone = common.tiny_hrnet()
        config.model.kernel_init = "fan_in"
        config.model.fusion_blocks = 1
        config.model.synthesizer.num_blocks = 1
        config.model.part_features.num_blocks = 1
        config.model.head.residual = True
        common.short_stage_two(config)
    elif variant == "paper":
        config.model.backbone = ConfigDict({"width": 48})
        config.train.batch_size = 16
    else:
        raise ValueError(f"configs/tipsd.py has no variant {variant!r}; use tiny or paper")
    return config
