"""RAFT: optical flow by recurrent lookups in an all-pairs correlation volume (Teed and Deng, ECCV 2020)."""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmpose_jax.errors import InputError
from jmpose_jax.models.blocks import Initializer
from jmpose_jax.models.raft.encoder import ENCODER_INIT, RAFTEncoder, contrast_init
from jmpose_jax.models.raft.update import UPDATE_INIT, ConvGRU, FlowHead, MaskHead, MotionEncoder
from jmpose_jax.models.remat import is_rematerialising
from jmpose_jax.ops.correlation import bilinear_upsample, convex_upsample, correlation_pyramid, lookup

NUM_LEVELS = 4
STRIDE = 8
# Initialisers of the last convolutions of feature encoder, context encoder and flow head. Drawn as published, the
# features share a large mean, which makes all correlations large and alike, and nothing normalises the small model's
# context. "matching" begins with correlations that stand out at the match, hardly any context, and zero flow.
INITIALIZATIONS = {
    "published": (ENCODER_INIT, ENCODER_INIT, UPDATE_INIT),
    "matching": (contrast_init, nn.initializers.variance_scaling(1e-3, "fan_in", "normal"), nn.initializers.zeros),
}


@dataclasses.dataclass(frozen=True)
class RAFTSize:
    """What distinguishes the two published models."""

    radius: int
    feature: int
    hidden: int
    context: int
    context_norm: str
    widths: tuple[int, int, int, int]
    bottleneck: bool
    motion: dict[str, Any]
    kernels: tuple[tuple[int, int], ...]
    suffixes: tuple[str, ...]
    flow_head: int
    convex: bool


SIZES = {
    "basic": RAFTSize(
        radius=4,
        feature=256,
        hidden=128,
        context=128,
        context_norm="batch",
        widths=(64, 64, 96, 128),
        bottleneck=False,
        motion=dict(correlation=(256, 192), flow=(128, 64), output=126),
        kernels=((1, 5), (5, 1)),
        suffixes=("1", "2"),
        flow_head=256,
        convex=True,
    ),
    "small": RAFTSize(
        radius=3,
        feature=128,
        hidden=96,
        context=64,
        context_norm="none",
        widths=(32, 32, 64, 96),
        bottleneck=True,
        motion=dict(correlation=(96,), flow=(64, 32), output=80),
        kernels=((3, 3),),
        suffixes=("",),
        flow_head=128,
        convex=False,
    ),
}


def coordinate_grid(batch: int, height: int, width: int) -> jax.Array:
    """float32 [batch, height, width, 2]: the (x, y) of every pixel."""
    x, y = jnp.meshgrid(jnp.arange(width, dtype=jnp.float32), jnp.arange(height, dtype=jnp.float32))
    return jnp.broadcast_to(jnp.stack([x, y], axis=-1), (batch, height, width, 2))


def padding_to_stride(height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """((top, bottom), (left, right)) that makes both sizes multiples of 8, split as the original does for Sintel."""
    rows, columns = -height % STRIDE, -width % STRIDE
    return (rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2)


class RAFTUpdate(nn.Module):
    """One iteration: look up, encode, update the hidden state, correct the flow."""

    config: RAFTSize
    implementation: str | None = None
    flow_init: Initializer = UPDATE_INIT

    @nn.compact
    def __call__(self, carry: tuple[jax.Array, jax.Array], constants: tuple[Any, ...]) -> tuple[jax.Array, jax.Array]:
        """Args: carry (hidden, coords), constants (pyramid, context, grid). Returns: the new carry."""
        hidden, coords = carry
        pyramid, context, grid = constants
        # The published training stops the gradient here: each iteration learns its own correction.
        coords = jax.lax.stop_gradient(coords)
        correlation = lookup(pyramid, coords, self.config.radius, self.implementation)
        motion = MotionEncoder(**self.config.motion, name="encoder")(coords - grid, correlation)
        gru = ConvGRU(self.config.kernels, self.config.suffixes, name="gru")
        hidden = gru(hidden, jnp.concatenate([context, motion], axis=-1))
        coords = coords + FlowHead(self.config.flow_head, self.flow_init, name="flow_head")(hidden)
        return hidden, coords


class RAFT(nn.Module):
    """Optical flow from one image to another.

    Attributes:
      size: "basic" (5,257,536 parameters) or "small" (990,162).
      lookup: implementation of the correlation lookup, see `ops.correlation.lookup`.
      remat: compute an iteration again in the backward pass, to train with less memory.
      initialization: "published", or "matching", meant for short trainings; see INITIALIZATIONS.
      iterations: updates, where a call does not say.
    """

    size: str = "basic"
    lookup: str | None = None
    remat: bool = False
    initialization: str = "published"
    iterations: int = 20

    def setup(self) -> None:
        for name, choices in (("size", SIZES), ("initialization", INITIALIZATIONS)):
            if getattr(self, name) not in choices:
                raise InputError(f"RAFT {name}={getattr(self, name)!r}: choose one of {', '.join(choices)}")
        config = self.config = SIZES[self.size]
        features, context, flow = INITIALIZATIONS[self.initialization]
        encoder = dict(widths=config.widths, bottleneck=config.bottleneck)
        self.fnet = RAFTEncoder(config.feature, "instance", output_init=features, **encoder)
        self.cnet = RAFTEncoder(config.hidden + config.context, config.context_norm, output_init=context, **encoder)
        update = nn.remat(RAFTUpdate) if self.remat or is_rematerialising() else RAFTUpdate
        self.update = update(config, self.lookup, flow)
        if config.convex:
            self.mask = MaskHead()

    def __call__(
        self,
        image1: jax.Array,
        image2: jax.Array,
        iterations: int | None = None,
        train: bool = False,
        all_flows: bool = False,
        return_features: bool = False,
    ) -> Any:
        """Estimate where each pixel of `image1` is in `image2`.

        Args:
          image1: [B, H, W, 3], RGB in 0..255, uint8 or float; any H and W (padded to multiples of 8 by repeating the
            border, and cropped back).
          image2: the same shape.
          iterations: updates; the attribute's where left out.
          train: normalise the context encoder with the batch's statistics (basic size only).
          all_flows: return the flow after every iteration, for the sequence loss.
          return_features: return the pair (flow, features).

        Returns:
          float32 [B, H, W, 2], (x, y) pixels, `image1` at p matches `image2` at p + flow; with `all_flows`
          [iterations, B, H, W, 2]. The features are those of the padded images: "fmap1", "fmap2" and "context" of the
          encoders, "hidden" after the last iteration, and "flow_low" [B, H/8, W/8, 2] in pixels of that grid.

        Raises:
          InputError: the images differ in shape or are no RGB images, or `iterations` is below 1.
        """
        iterations = self.iterations if iterations is None else iterations
        self._check(image1, image2, iterations)
        rows, columns = padding_to_stride(*image1.shape[1:3])
        fmap1, fmap2, context = self.encode(*(self._prepare(i, rows, columns) for i in (image1, image2)), train)

        batch, h, w, _ = fmap1.shape
        hidden, inputs = jnp.split(context, [self.config.hidden], axis=-1)
        grid = coordinate_grid(batch, h, w)
        constants = (correlation_pyramid(fmap1, fmap2, NUM_LEVELS), nn.relu(inputs), grid)

        def iterate(module: RAFTUpdate, carry: tuple[jax.Array, jax.Array], constants: tuple[Any, ...]):
            carry = module(carry, constants)
            return carry, carry if all_flows else None

        scan = nn.scan(
            iterate,
            variable_broadcast="params",
            split_rngs={"params": False},
            in_axes=nn.broadcast,
            length=iterations,
        )
        last, every = scan(self.update, (nn.tanh(hidden), grid), constants)

        if all_flows:
            hidden, coords = (a.reshape(-1, *a.shape[2:]) for a in every)
            flow = self.upsample(coords - jnp.tile(grid, (iterations, 1, 1, 1)), hidden)
            flow = flow.reshape(iterations, batch, *flow.shape[1:])
        else:
            hidden, coords = last
            flow = self.upsample(coords - grid, hidden)
        height, width = image1.shape[1:3]
        flow = flow[..., rows[0] : rows[0] + height, columns[0] : columns[0] + width, :]
        if not return_features:
            return flow
        features = dict(fmap1=fmap1, fmap2=fmap2, context=context, hidden=last[0], flow_low=last[1] - grid)
        return flow, features

    def encode(self, image1: jax.Array, image2: jax.Array, train: bool = False) -> tuple[jax.Array, ...]:
        """Features of both images and context of the first; images float32 in -1..1, sizes multiples of 8."""
        # The images of an example next to each other: a batch that lies on many devices stays where it is.
        both = jnp.stack([image1, image2], 1)
        maps = self.fnet(both.reshape(-1, *image1.shape[1:]), train)
        maps = maps.reshape(-1, 2, *maps.shape[1:])
        return maps[:, 0], maps[:, 1], self.cnet(image1, train)

    def upsample(self, flow: jax.Array, hidden: jax.Array) -> jax.Array:
        """Coarse flow to full resolution: by learnt convex combinations (basic) or bilinearly (small)."""
        return convex_upsample(flow, self.mask(hidden)) if self.config.convex else bilinear_upsample(flow)

    def _prepare(self, image: jax.Array, rows: tuple[int, int], columns: tuple[int, int]) -> jax.Array:
        scaled = 2.0 * (image.astype(jnp.float32) / 255.0) - 1.0
        return jnp.pad(scaled, ((0, 0), rows, columns, (0, 0)), mode="edge")

    def _check(self, image1: jax.Array, image2: jax.Array, iterations: int) -> None:
        if image1.ndim != 4 or image1.shape[-1] != 3 or image1.shape != image2.shape or 0 in image1.shape:
            raise InputError(
                f"RAFT reads two equal shapes [B, H, W, 3], not {list(image1.shape)} and {list(image2.shape)}"
            )
        if iterations < 1:
            raise InputError(f"RAFT iterations={iterations}: at least 1 is needed")
