"""Progressive joint-motion mutual learning (JMML, section 3.2): layers of joint-motion interaction blocks (JMIB)."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmpose_jax.errors import InputError
from jmpose_jax.models import remat
from jmpose_jax.models.blocks import DEFAULT_INIT, ChainOfBasicBlocks, ConvBN, Initializer, same_padding
from jmpose_jax.models.parts import Part
from jmpose_jax.ops.attention import cross_attention
from jmpose_jax.ops.convolution import conv_general_dilated

Layers = tuple[tuple[jax.Array, jax.Array], ...]  # (J^i, M^i), each [B, h, w, C]
GATES = ("conv", "conv1x1", "literal")
QKV = ("independent", "shared")


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
      blocks: residual blocks of Eq. 6, for each feature.
      qkv: "independent" (six convolutions, as the paper says) or "shared" (as the public code: one for the queries and
        one for keys and values alike, the same in both directions).
    """

    attention: str = "channel"
    heads: int = 1
    qkv_kernel: int = 3
    gate: str = "conv"
    kernel_init: Initializer = DEFAULT_INIT
    blocks: int = 1
    qkv: str = "independent"

    @nn.compact
    def __call__(self, joint: jax.Array, motion: jax.Array, train: bool = False) -> tuple[jax.Array, jax.Array]:
        """Args: J^{i-1} and M^{i-1}, both [B, h, w, C]. Returns: J^i and M^i, both [B, h, w, C]."""
        features = joint.shape[-1]
        chain = partial(ChainOfBasicBlocks, features, self.blocks, kernel_init=self.kernel_init)
        joint = chain(name="joint_blocks")(joint, train)  # Eq. 6
        motion = chain(name="motion_blocks")(motion, train)

        joint_attended, motion_attended = self._attention(joint, motion)
        joint, motion = joint + joint_attended, motion + motion_attended  # Eq. 7 and 8, both from the same inputs

        masks = jax.nn.sigmoid(self._gate(jnp.concatenate([joint, motion], -1), features, train))  # Eq. 9
        joint_mask, motion_mask = jnp.split(masks, 2, -1)
        return joint_mask * joint, motion_mask * motion  # Eq. 10

    def _attention(self, joint: jax.Array, motion: jax.Array) -> tuple[jax.Array, jax.Array]:
        """softmax(Q Kᵀ / √d) V with Q from one feature and K, V from the other, for both."""

        def conv(name: str) -> nn.Conv:
            return nn.Conv(
                joint.shape[-1],
                (self.qkv_kernel, self.qkv_kernel),
                padding=same_padding(self.qkv_kernel),
                kernel_init=self.kernel_init,
                conv_general_dilated=conv_general_dilated,
                name=name,
            )

        attend = partial(cross_attention, mode=self.attention, heads=self.heads)
        if self.qkv == "shared":
            query, memory = conv("query"), conv("memory")
            of_joint, of_motion = memory(joint), memory(motion)
            return attend(query(joint), of_motion, of_motion), attend(query(motion), of_joint, of_joint)
        if self.qkv != "independent":
            raise InputError(f"qkv={self.qkv!r}: choose one of {', '.join(QKV)}")
        attended = []
        for name, asking, answering in (("joint", joint, motion), ("motion", motion, joint)):
            query, key, value = (conv(f"{name}_{part}") for part in ("query", "key", "value"))
            attended.append(attend(query(asking), key(answering), value(answering)))
        return attended[0], attended[1]

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
      attention, heads, qkv_kernel, gate, kernel_init, blocks, qkv: as in JointMotionInteraction.
    """

    num_layers: int = 4
    attention: str = "channel"
    heads: int = 1
    qkv_kernel: int = 3
    gate: str = "conv"
    kernel_init: Initializer = DEFAULT_INIT
    blocks: int = 1
    qkv: str = "independent"

    @nn.compact
    def __call__(self, joint: jax.Array, motion: jax.Array, train: bool = False) -> Layers:
        """Args: J_t and M_t, both [B, h, w, C]. Returns: (J^1, M^1) … (J^L, M^L)."""
        for name in ("num_layers", "blocks"):
            if getattr(self, name) < 1:
                raise InputError(f"mutual_learning.{name}={getattr(self, name)} must be at least 1")
        layers = []
        for i in range(1, self.num_layers + 1):
            layer = JointMotionInteraction(
                attention=self.attention,
                heads=self.heads,
                qkv_kernel=self.qkv_kernel,
                gate=self.gate,
                kernel_init=self.kernel_init,
                blocks=self.blocks,
                qkv=self.qkv,
                name=f"layer{i}",
            )
            joint, motion = remat.call(layer, joint, motion, train=train)
            layers.append((joint, motion))
        return tuple(layers)


class NoInteraction(nn.Module):
    """J_t and M_t as the only layer: the ablation without JMIB."""

    def __call__(self, joint: jax.Array, motion: jax.Array, train: bool = False) -> Layers:
        """Args: J_t and M_t, both [B, h, w, C]. Returns: the two of them."""
        return ((joint, motion),)


class NoMutualLearning(nn.Module):
    """No layer: the ablation without JMML, where the head reads J_t alone."""

    def __call__(self, joint: jax.Array, motion: jax.Array, train: bool = False) -> Layers:
        """Args: J_t and M_t, both [B, h, w, C]. Returns: nothing."""
        return ()


MUTUAL_LEARNING = Part(
    {"interaction": MutualLearning, "identity": NoInteraction, "none": NoMutualLearning}, given=("kernel_init",)
)
