"""Stage 1: the image backbone on single frames (the HRNet baseline of the paper's tables).

Variants:
  tiny (default): HRNet of width 16 on the embedded data set, 128x96 crops; about 5 minutes on two CPU cores.
  w32, w48: HRNet at 384x288 on PoseTrack by PoseWarper's recipe (COCO weights first: `jmpose convert`, then
    --config.init.backbone=CHECKPOINT).

  jmpose train --config configs/backbone.py:tiny --workdir runs/backbone --config.dataset.root=DIR
"""

from ml_collections import ConfigDict

from configs import common


def get_config(variant: str = "tiny") -> ConfigDict:
    config = common.base()
    config.model = ConfigDict({"name": "image"})
    if variant == "tiny":
        common.embedded(config)
        config.model.backbone = common.tiny_hrnet()
        config.train.batch_size = 16
        config.train.steps = 3800
        config.optimizer.decay_steps = 900
        config.train.save_every = 400
    elif variant in ("w32", "w48"):
        config.model.backbone = ConfigDict({"width": int(variant[1:])})
        config.optimizer.name = "adam"
        config.optimizer.boundaries = (10.0, 15.0)
    else:
        raise ValueError(f"configs/backbone.py has no variant {variant!r}; use tiny, w32 or w48")
    return config
