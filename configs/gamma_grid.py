"""Sensitivity to the information objective on the embedded data set: alpha of Eq. 16, and a weight for each term.

The layout of TIPSD's tables I and II, for JM-Pose: alpha and the weights over {0, 0.1, 1, 5}, in units in which alpha 1
starts near the heatmap loss. All cells differ in loss weights alone: `--vectorize` trains each table as one program.

Variants:
  alpha (default): alpha alone, 4 cells.
  terms: the weights of relevancy, complement and redundancy at alpha 1, 64 cells.

  jmpose grid --config configs/gamma_grid.py:terms --workdir runs/gamma --vectorize \
    --config.dataset.root=DIR --config.init.backbone=runs/backbone
"""

from typing import Any

from ml_collections import ConfigDict

from configs import jmpose

VALUES = (0.0, 0.1, 1.0, 5.0)


def get_config(variant: str = "alpha") -> ConfigDict:
    if variant not in ("alpha", "terms"):
        raise ValueError(f"configs/gamma_grid.py has no variant {variant!r}; use alpha or terms")
    config = jmpose.get_config("tiny")
    config.loss.normalization = "heatmap_loss"
    # Without it the objective is escaped by shrinking the features, and says nothing.
    config.model.predictors.features = "standardized"
    config.model.predictors.kernel_init = "zeros"  # nothing is known yet, which those units are made for
    config.loss.alpha = 1.0
    for term in ("relevancy", "complement", "redundancy"):
        config.loss.weights[term] = 1.0
    return config


def get_grid(variant: str = "alpha") -> dict[str, Any]:
    if variant == "alpha":
        return {"loss.alpha": VALUES}
    return {f"loss.weights.{term}": VALUES for term in ("redundancy", "relevancy", "complement")}
