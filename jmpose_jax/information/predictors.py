"""Variational predictors: what the features of a layer say about the aggregated heatmaps."""

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp


@flax.struct.dataclass
class PredictorLogits:
    """Heatmap logits from the joint feature, the motion feature, and both; each float32 [B, h, w, K].

    Attributes:
      joint: from J^i.
      motion: from M^i.
      both: from J^i and M^i side by side.
    """

    joint: jax.Array
    motion: jax.Array
    both: jax.Array


@flax.struct.dataclass
class LayerPredictions:
    """The same numbers twice, with the gradient let through to one side or the other.

    Attributes:
      terms: gradients reach the features only: what the information terms read.
      fit: gradients reach the predictors only: what their own fitting loss reads.
    """

    terms: PredictorLogits
    fit: PredictorLogits


class InformationPredictors(nn.Module):
    """Three linear maps from the features of a layer to heatmap logits, the q of the variational bounds of Eq. 13.

    Attributes:
      num_joints: K.
    """

    num_joints: int

    @nn.compact
    def __call__(self, joint: jax.Array, motion: jax.Array) -> LayerPredictions:
        """Args: J^i and M^i, both [B, h, w, C]. Returns: the predictions of the layer."""
        inputs = {"joint": joint, "motion": motion, "both": jnp.concatenate([joint, motion], -1)}
        init = nn.initializers.lecun_normal()
        terms, fit = {}, {}
        for name, x in inputs.items():
            kernel = self.param(f"{name}_kernel", init, (x.shape[-1], self.num_joints))
            bias = self.param(f"{name}_bias", nn.initializers.zeros, (self.num_joints,))
            terms[name] = x @ jax.lax.stop_gradient(kernel) + jax.lax.stop_gradient(bias)
            fit[name] = jax.lax.stop_gradient(x) @ kernel + bias
        return LayerPredictions(PredictorLogits(**terms), PredictorLogits(**fit))
