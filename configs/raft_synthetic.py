"""RAFT trained from nothing on the embedded data set's exact flow, for users without the published weights.

Variants:
  small (default): RAFT-small on 96x72 crops, a little inside the boxes so that people fill them and move by more
    pixels; a quarter of an hour on two CPU cores. It starts from "matching", since the published initialisation ended
    at zero flow. Give --config.train.steps=N for more.
  basic: RAFT at 384x288 with the optimiser of the published first stage (FlyingChairs); for an accelerator.

Both learn by the sequence loss with gamma 0.8. Crops turn, grow and are mirrored; colours are left as they are.

  jmpose prepare --dataset synthetic --flow --output DIR
  jmpose train --config configs/raft_synthetic.py --workdir runs/raft --config.dataset.root=DIR
  jmpose evaluate --config configs/raft_synthetic.py --workdir runs/raft --config.dataset.root=DIR
"""

from ml_collections import ConfigDict

from configs import common


def get_config(variant: str = "small") -> ConfigDict:
    config = common.base()
    config.init = ConfigDict()
    config.dataset.delta = 2
    config.dataset.flow_source = "exact"
    config.dataset.flow_pairs = "support_to_key"  # motion over one and two frames, forwards and backwards
    config.dataset.flow_stride = 1  # crop pixels a cell of the flow
    config.dataset.complete_windows = True
    config.dataset.augment.rotation = 30.0
    config.dataset.augment.half_body_probability = 0.0
    config.model = ConfigDict({"name": "raft", "size": variant})
    # The sequence loss: gamma is what an iteration weighs over the next, the weights are those of its terms.
    config.loss = ConfigDict({"gamma": 0.8, "weights": {"sequence": 1.0, "endpoint_error": 0.0}})
    config.optimizer.weight_decay = 1e-4
    config.optimizer.clip_norm = 1.0
    # Linear warm-up over a twentieth, then linear to zero: the published one-cycle schedule.
    config.optimizer.schedule = "stable"
    if variant == "small":
        config.dataset.input_size = (96, 72)
        config.dataset.box_enlarge = 0.75
        config.model.iterations = 3
        config.model.initialization = "matching"
        config.optimizer.learning_rate = 1e-3
        config.train.batch_size = 1  # clips; four pairs each
        config.train.steps = 1500
        config.train.save_every = 250
    elif variant == "basic":
        config.model.iterations = 12
        config.model.initialization = "published"
        config.model.remat = True
        config.optimizer.learning_rate = 4e-4
        config.train.batch_size = 3
        config.train.steps = 100_000
    else:
        raise ValueError(f"configs/raft_synthetic.py has no variant {variant!r}; use small or basic")
    config.optimizer.warmup_steps = config.train.steps // 20
    config.optimizer.decay_steps = config.train.steps - config.optimizer.warmup_steps
    config.eval.batch_size = 8
    return config
