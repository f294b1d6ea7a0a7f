"""Progressive joint-motion mutual learning (JMML, section 3.2): layers of joint-motion interaction blocks (JMIB)."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmpose_jax.errors import InputError
from jmpose_jax.models import remat
from jmpose_jax.models.blocks import DEFAULT_INIT, ChainOfBasicBlocks, ConvBN, Initializer
from jmpose_jax.ops.attention import cross_attention
from jmpose_jax.ops.convolution import conv_general_dilated

GATES = ("conv", "conv1x1", "literal")


class JointMotionInteraction(nn.Module):
    """One joint-motion interaction block (Eq. 6 to 10).

    Attributes:
      attention: "channel", "spatial" or "spatial_full".
      heads: attention heads.
      qkv_kernel: side of the six convolutions that make queries, keys and values.
      gate: what comes before the sigmoid of Eq. 9. "conv": two blocks down to C channels and two up to 2C, so that each
        mask depends on both features; "conv1x1": the same with one 1x1 convolution each; "literal": nothing, where each
        feature masks itself and nothing is exchanged.
      kernel_init: initialiser of the kernels.
    """

    attention: str = "channel"
    heads: int = 1
    qkv_kernel: int = 3
    gate: str = "conv"
    kernel_init: Initializer = DEFAULT_INIT

    @nn.compact
    def __call__(self, joint: jax.Array, motion: jax.Array, train: bool = False) -> tuple[jax.Array, jax.Array]:
        """Args: J^{i-1} and M^{i-1}, both [B, h, w, C]. Returns: J^i and M^i, both [B, h, w, C]."""
        features = joint.shape[-1]
        joint = ChainOfBasicBlocks(features, 1, kernel_init=self.kernel_init, name="joint_blocks")(
            joint, train
        )  # Eq. 6
        motion = ChainOfBasicBlocks(features, 1, kernel_init=self.kernel_init, name="motion_blocks")(motion, train)

        joint_attended = self._attend("joint", joint, motion)
        motion_attended = self._attend("motion", motion, joint)
        joint, motion = joint + joint_attended, motion + motion_attended  # Eq. 7 and 8, both from the same inputs

        masks = jax.nn.sigmoid(self._gate(jnp.concatenate([joint, motion], -1), features, train))  # Eq. 9
        joint_mask, motion_mask = jnp.split(masks, 2, -1)
        return joint_mask * joint, motion_mask * motion  # Eq. 10

    def _attend(self, name: str, asking: jax.Array, answering: jax.Array) -> jax.Array:
        """softmax(Q Kᵀ / √d) V with Q from one feature and K, V from the other."""

        def conv(part: str, x: jax.Array) -> jax.Array:
            pad = self.qkv_kernel // 2
            return nn.Conv(
                x.shape[-1],
                (self.qkv_kernel, self.qkv_kernel),
                padding=((pad, pad), (pad, pad)),
                kernel_init=self.kernel_init,
                conv_general_dilated=conv_general_dilated,
                name=f"{name}_{part}",
            )(x)

        query, key, value = conv("query", asking), conv("key", answering), conv("value", answering)
        return cross_attention(query, key, value, mode=self.attention, heads=self.heads)

    def _gate(self, x: jax.Array, features: int, train: bool) -> jax.Array:
        options = dict(kernel_init=self.kernel_init)
        if self.gate == "conv":
            x = ChainOfBasicBlocks(features, 2, name="gate_down", **options)(x, train)
            return ChainOfBasicBlocks(2 * features, 2, name="gate_up", **options)(x, train)
        if self.gate == "conv1x1":
            x = ConvBN(features, 1, activation=nn.relu, name="gate_down", **options)(x, train)
            options |= dict(padding=((0, 0), (0, 0)), conv_general_dilated=conv_general_dilated)
            return nn.Conv(2 * features, (1, 1), name="gate_up", **options)(x)
        if self.gate == "literal":
            return x
        raise InputError(f"gate={self.gate!r}: choose one of {', '.join(GATES)}")


class MutualLearning(nn.Module):
    """L interaction blocks in a row, each with parameters of its own.

    Attributes:
      num_layers: L.
      attention, heads, qkv_kernel, gate, kernel_init: as in JointMotionInteraction.
    """

    num_layers: int = 4
    attention: str = "channel"
    heads: int = 1
    qkv_kernel: int = 3
    gate: str = "conv"
    kernel_init: Initializer = DEFAULT_INIT

    @nn.compact
    def __call__(
        self, joint: jax.Array, motion: jax.Array, train: bool = False
    ) -> tuple[list[jax.Array], list[jax.Array]]:
        """Args: J_t and M_t, both [B, h, w, C]. Returns: [J^1 … J^L] and [M^1 … M^L], each [B, h, w, C]."""
        joints, motions = [], []
        for i in range(1, self.num_layers + 1):
            layer = JointMotionInteraction(
                self.attention, self.heads, self.qkv_kernel, self.gate, self.kernel_init, name=f"layer{i}"
            )
            joint, motion = remat.call(layer, joint, motion, train=train)
            joints.append(joint)
            motions.append(motion)
        return joints, motions
