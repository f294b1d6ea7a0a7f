"""Mutual-information estimators behind one signature, and the orthogonality objective built from them."""

from jmpose_jax.information.choice import DEFAULT_ESTIMATORS, INFORMATION_TERMS, resolve_estimators
from jmpose_jax.information.estimators import ESTIMATORS, Estimate, get_estimator
from jmpose_jax.information.objective import (
    TERMS,
    empty_heatmap_loss,
    orthogonality_terms,
    term_scales,
)
from jmpose_jax.information.predictors import InformationPredictors, LayerPredictions, PredictorLogits
from jmpose_jax.information.variational import vcd, vml, vsd, vsd_public

__all__ = [
    "DEFAULT_ESTIMATORS",
    "ESTIMATORS",
    "INFORMATION_TERMS",
    "TERMS",
    "Estimate",
    "InformationPredictors",
    "LayerPredictions",
    "PredictorLogits",
    "empty_heatmap_loss",
    "get_estimator",
    "orthogonality_terms",
    "resolve_estimators",
    "term_scales",
    "vcd",
    "vml",
    "vsd",
    "vsd_public",
]
