"""Stage 2: JM-Pose on the frozen backbone of stage 1.

Variants:
  tiny (default): on the embedded data set; a minute or two on two CPU cores. Its flow is OpenCV's DIS.
  tiny_raft: tiny with the flow of a RAFT-small, e.g. one of configs/raft_synthetic.py: give
    --config.init.flow_network=runs/raft.
  paper: HRNet-W48, 384x288, delta 2, four mutual-learning layers, 48 channels, RAFT, AdamW 1e-4 with the paper's decays
    (section 4.1). Give --config.init.backbone and --config.init.flow_network (both from `jmpose convert`).

  jmpose train --config configs/jmpose.py:tiny --workdir runs/jmpose --config.dataset.root=DIR \
    --config.init.backbone=runs/backbone
"""

from ml_collections import ConfigDict

from configs import common


def get_config(variant: str = "tiny") -> ConfigDict:
    config = common.base()
    config.dataset.delta = 2
    config.model = ConfigDict({"name": "jmpose", "flow_network": None, "backbone_trainable": False})
    # The ablations are other kinds of these parts.
    config.model.motion_encoder = ConfigDict({"kind": "flow"})
    config.model.context_aware_joint_learner = ConfigDict({"kind": "deformable"})
    config.model.mutual_learning = ConfigDict({"kind": "interaction"})
    # What the information terms read; each term by an estimator of choice.
    config.model.predictors = ConfigDict(
        {
            "estimators": {"relevancy": "vml_js", "complement": "vsd", "redundancy": "vsd"},
            "features": "raw",
            "kernel_init": "fan_in",
        }
    )
    config.optimizer.frozen = ("backbone/", "flow_network/")
    config.loss.temperature = 0.1  # of the softmax over pixels in the information terms
    # Unit of the information terms: "pixels" (nats over pixels, as public code has it) or "heatmap_loss" (alpha = 1
    # starts near L_H with any estimator; weights are then relative to the heatmap's).
    config.loss.normalization = "pixels"
    config.loss.alpha = 1.0  # multiplies the information terms
    # Eq. 16. The information terms are in units of L_H times a few (embedded data set): alpha well below 1.
    config.loss.weights.relevancy = 0.05
    config.loss.weights.complement = 0.05
    config.loss.weights.redundancy = 0.05
    config.loss.weights.predictor_fit = 1.0
    if variant in ("tiny", "tiny_raft"):
        common.embedded(config)
        for term in ("relevancy", "complement", "redundancy"):
            config.loss.weights[term] = 0.05 * config.loss.weights.heatmap
        config.loss.weights.predictor_fit = config.loss.weights.heatmap
        config.dataset.complete_windows = True
        config.dataset.flow_pairs = "support_to_key"
        config.model.update(
            {
                "backbone": common.tiny_hrnet(),
                "heatmap_aggregation": {"method": "residual", "alignment": "joint_motion"},
                "motion_encoder": {"num_blocks": 1},
                "context_aware_joint_learner": {"offset_groups": 2},
                "mutual_learning": {"num_layers": 1, "qkv_kernel": 1, "gate": "conv1x1"},
                "fusion": {"num_blocks": 1},
                "head": {"residual": True},
                "channels": 8,
                "kernel_init": "fan_in",
            }
        )
        common.short_stage_two(config)
        if variant == "tiny_raft":
            _flow_by_raft(config, size="small", iterations=6)
        else:
            config.dataset.flow_source = "dis"
    elif variant == "paper":
        config.model.backbone = ConfigDict({"width": 48})
        _flow_by_raft(config, size="basic", iterations=20)
        config.train.batch_size = 16
    else:
        raise ValueError(f"configs/jmpose.py has no variant {variant!r}; use tiny, tiny_raft or paper")
    return config


def _flow_by_raft(config: ConfigDict, size: str, iterations: int) -> None:
    """The flow is computed in the model by a frozen RAFT, whose weights `config.init.flow_network` names."""
    config.model.flow_network = ConfigDict({"size": size, "iterations": iterations})
    config.init.flow_network = ""  # checkpoint of the RAFT, of `jmpose convert` or configs/raft_synthetic.py
