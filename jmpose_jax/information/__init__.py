"""Mutual-information estimators behind one signature, and the orthogonality objective built from them."""

from jmpose_jax.information.objective import TERMS, orthogonality_terms
from jmpose_jax.information.predictors import InformationPredictors, LayerPredictions, PredictorLogits
from jmpose_jax.information.variational import vcd, vml, vsd, vsd_public

__all__ = [
    "TERMS",
    "InformationPredictors",
    "LayerPredictions",
    "PredictorLogits",
    "orthogonality_terms",
    "vcd",
    "vml",
    "vsd",
    "vsd_public",
]
