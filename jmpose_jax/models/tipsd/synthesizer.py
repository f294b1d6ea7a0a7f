"""The pose synthesizer: heatmaps at any moment between two frames, by deformable sampling with learned offsets.

A reconstruction. The supplement says what it makes (Fig. 1: places of parts in the short interval between adjacent
frames, off the straight line between them), not how.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmpose_jax.errors import InputError
from jmpose_jax.models.blocks import DEFAULT_INIT, ChainOfBasicBlocks, ChainOfRSBBlocks, Initializer
from jmpose_jax.models.parts import Part
from jmpose_jax.ops.convolution import conv_general_dilated
from jmpose_jax.ops.deform_conv import modulated_deform_conv2d

SAMPLINGS = ("blend", "ends")
TAPS, MIDDLE = 9, 4


def straight_blend(first: jax.Array, second: jax.Array, kappa: jax.Array | float) -> jax.Array:
    """(1 - κ) H_a + κ H_b: what stands between two frames where nothing is known of the motion.

    Args:
      first, second: H_a and H_b, float32 [N, h, w, K].
      kappa: κ, from 0 to 1, float32 scalar or [N].
    """
    share = jnp.reshape(jnp.asarray(kappa, jnp.float32), (-1, 1, 1, 1))
    return (1 - share) * first + share * second


class PoseSynthesizer(nn.Module):
    """S(H_a, H_b, F_a, F_b; κ), the heatmaps at the moment κ between frame a (κ = 0) and frame b (κ = 1).

    Residual steps blocks read both maps and their difference; residual blocks add the features and the moment; from
    them come offsets and weights of a deformable convolution, K groups of 9 taps. Its change of the straight blend is
    faded by 4 κ (1 - κ), so that S is H_a at κ = 0 and H_b at κ = 1 whatever was learned. It starts as the identity:
    offsets 0, weights 1, a kernel that passes each map on. S is then the straight blend.

    Attributes:
      features: channels C of the branch that chooses offsets.
      heatmap_blocks: residual steps blocks over the maps.
      num_blocks: residual blocks over maps and features.
      sampling: "blend" samples the straight blend; "ends" samples both maps, each with offsets of its own, and blends
        what it found, so that one joint's two peaks can meet in the middle.
      kernel_init: initialiser of the blocks' kernels.
    """

    features: int = 48
    heatmap_blocks: int = 1
    num_blocks: int = 2
    sampling: str = "blend"
    kernel_init: Initializer = DEFAULT_INIT

    @nn.compact
    def __call__(
        self,
        first: jax.Array,
        second: jax.Array,
        first_features: jax.Array,
        second_features: jax.Array,
        kappa: jax.Array | float,
        train: bool = False,
    ) -> jax.Array:
        """Synthesize.

        Args:
          first, second: H_a and H_b, float32 [N, h, w, K].
          first_features, second_features: F_a and F_b, float32 [N, h, w, C'].
          kappa: κ, float32 scalar or [N].
          train: batch statistics instead of running ones.

        Returns:
          float32 [N, h, w, K].

        Raises:
          InputError: an unknown sampling.
        """
        if self.sampling not in SAMPLINGS:
            raise InputError(f"synthesizer.sampling={self.sampling!r}: choose one of {', '.join(SAMPLINGS)}")
        count, height, width, joints = first.shape
        share = jnp.broadcast_to(jnp.reshape(jnp.asarray(kappa, jnp.float32), (-1, 1, 1, 1)), (count, 1, 1, 1))
        # Joint by joint: what belongs to one joint stands side by side among the channels.
        maps = jnp.stack([first, second, second - first], -1).reshape(count, height, width, 3 * joints)
        options = dict(kernel_init=self.kernel_init)
        guide = ChainOfRSBBlocks(self.features, self.heatmap_blocks, name="heatmaps", **options)(maps, train)
        moment = jnp.broadcast_to(2 * share - 1, (count, height, width, 1))
        guide = jnp.concatenate([guide, first_features, second_features, moment], -1)
        guide = ChainOfBasicBlocks(self.features, self.num_blocks, name="blocks", **options)(guide, train)

        blend = straight_blend(first, second, share)
        if self.sampling == "blend":
            sampled = self._sample("sample", blend, guide)
        else:
            found = (self._sample(name, maps, guide) for name, maps in (("first", first), ("second", second)))
            sampled = straight_blend(*found, share)
        return blend + 4 * share * (1 - share) * (sampled - blend)

    def _sample(self, name: str, maps: jax.Array, guide: jax.Array) -> jax.Array:
        """A deformable convolution of maps [N, h, w, K] that starts as the identity."""
        joints = maps.shape[-1]
        shape = (*maps.shape[:3], joints, TAPS)
        raw = nn.Conv(
            3 * joints * TAPS,
            (3, 3),
            padding=((1, 1), (1, 1)),
            kernel_init=nn.initializers.zeros,
            conv_general_dilated=conv_general_dilated,
            name=f"{name}_offset",
        )(guide)
        offset, mask = raw[..., : 2 * joints * TAPS].reshape(*shape, 2), raw[..., 2 * joints * TAPS :].reshape(shape)
        kernel = self.param(f"{name}_kernel", _identity, (3, 3, joints, joints))
        # Twice the sigmoid is 1 where the branch starts.
        return modulated_deform_conv2d(maps, offset, 2 * jax.nn.sigmoid(mask), kernel, padding=1)


def _identity(key: jax.Array, shape: tuple[int, ...], dtype=jnp.float32) -> jax.Array:
    """A 3x3 kernel that passes every channel on."""
    return jnp.zeros((TAPS, *shape[2:]), dtype).at[MIDDLE].set(jnp.eye(shape[2], dtype=dtype)).reshape(shape)


SYNTHESIZER = Part({"": PoseSynthesizer}, given=("features", "kernel_init"))
