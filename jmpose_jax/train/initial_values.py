"""The generator that initial values are drawn from: cheap to compile, the same numbers on every device."""

import math

import jax
import jax.extend
import jax.numpy as jnp

GOLDEN = 0x9E3779B9  # 2^32 / golden ratio: neighbouring counters fall far apart


def _mix(x: jax.Array) -> jax.Array:
    """A bijection of uint32 in which every input bit reaches every output bit (MurmurHash3's finaliser)."""
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x = (x ^ (x >> shift)) * jnp.uint32(factor)
    return x ^ (x >> 16)


def _hash(key: jax.Array, counter: jax.Array) -> jax.Array:
    """uint32, of the shape of the counters, from a key uint32 [2]."""
    return _mix(_mix(counter * jnp.uint32(GOLDEN) + key[0]) + key[1])


def _seed(seed: jax.Array) -> jax.Array:
    return _mix(jnp.stack([seed, seed + 1]).astype(jnp.uint32) * jnp.uint32(GOLDEN) + jnp.uint32(1))


def _fold_in(key: jax.Array, data: jax.Array) -> jax.Array:
    return _hash(key, jnp.stack([data, data ^ jnp.uint32(0xFFFFFFFF)]))


def _split(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    counter = jax.lax.iota(jnp.uint32, 2 * math.prod(shape))
    return _hash(key, counter).reshape(*shape, 2)


def _random_bits(key: jax.Array, bit_width: int, shape: tuple[int, ...]) -> jax.Array:
    if bit_width > 32:
        raise ValueError(f"{bit_width} random bits at once; initial values are drawn as float32, from 32 bits or fewer")
    # Not the counters of `_split`: a key that was split may be drawn from too.
    counter = jax.lax.iota(jnp.uint32, math.prod(shape)) ^ jnp.uint32(0x5BD1E995)
    bits = _hash(_mix(key + jnp.uint32(GOLDEN)), counter).reshape(shape)
    return bits.astype(getattr(jnp, f"uint{bit_width}"))


_IMPLEMENTATION = jax.extend.random.define_prng_impl(
    key_shape=(2,), seed=_seed, split=_split, random_bits=_random_bits, fold_in=_fold_in, name="jmpose_hash", tag="jmh"
)


def initial_key(seed: int) -> jax.Array:
    """A key for initialising a model under jit.

    JAX's own generators expand into hundreds of operations at every parameter: the tiny JM-Pose compiled for 13 s to be
    initialised with "rbg", now for 4. The bits are the same with every backend and version, which "rbg" does not
    promise. A hash of a counter is good enough to start a training from; nothing else should draw from it.

    Args:
      seed: any int.

    Returns:
      A typed key, scalar.
    """
    return jax.random.key(seed, impl=_IMPLEMENTATION)
