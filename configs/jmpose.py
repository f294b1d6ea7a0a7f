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
    config.model = ConfigDict({"name": "jmpose", "num_joints": 15, "delta": 2, "backbone_trainable": False})
    config.optimizer.frozen = ("backbone/", "flow_network/")
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
        config.dataset.flow_source = "dis"
        config.dataset.flow_pairs = "support_to_key"
        config.model.update(
            {
                "backbone": common.tiny_hrnet(),
                "channels": 8,
                "num_layers": 1,
                "offset_groups": 2,
                "qkv_kernel": 1,
                "gate": "conv1x1",
                "head": "residual",
                "motion_blocks": 1,
                "fusion_blocks": 1,
                "aggregation": "residual",
                "alignment": "joint_motion",
                "kernel_init": "fan_in",
                "flow_source": "batch",
                "flow_pairs": "support_to_key",
            }
        )
        config.train.batch_size = 8
        config.train.steps = 680
        config.optimizer.warmup_steps = 80
        config.optimizer.schedule = "cosine"
        config.train.save_every = 200
        if variant == "tiny_raft":
            _flow_by_raft(config, size="small", iterations=6)
    elif variant == "paper":
        config.model.backbone = ConfigDict({"width": 48, "num_joints": 15})
        _flow_by_raft(config, size="basic", iterations=20)
        config.train.batch_size = 16
    else:
        raise ValueError(f"configs/jmpose.py has no variant {variant!r}; use tiny, tiny_raft or paper")
    return config


def _flow_by_raft(config: ConfigDict, size: str, iterations: int) -> None:
    """The flow is computed in the model by a frozen RAFT, whose weights `config.init.flow_network` names."""
    config.dataset.flow_source = "raft"
    config.model.flow_source = "raft"
    config.model.flow_network = ConfigDict({"size": size})
    config.model.flow_iterations = iterations
    config.init.flow_network = ""  # checkpoint of the RAFT, of `jmpose convert` or configs/raft_synthetic.py
