"""From the bytes of an image to what the networks read, on the device."""

import jax
import jax.numpy as jnp

# Mean and deviation of ImageNet's RGB values in [0, 1]: the scale that every published backbone was trained with.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def normalize(frames: jax.Array) -> jax.Array:
    """Scale RGB bytes to the mean and deviation that the pose networks expect.

    Args:
      frames: uint8 (or float in 0..255) [..., H, W, 3], RGB.

    Returns:
      float32 [..., H, W, 3], (frames / 255 - mean) / deviation by channel.
    """
    mean = jnp.asarray(IMAGENET_MEAN, jnp.float32)
    std = jnp.asarray(IMAGENET_STD, jnp.float32)
    return (frames.astype(jnp.float32) / 255.0 - mean) / std


def denormalize(images: jax.Array) -> jax.Array:
    """The inverse of `normalize`: RGB values in 0..255, what RAFT reads.

    Args:
      images: float32 [..., H, W, 3], normalised RGB.

    Returns:
      float32 [..., H, W, 3], 0..255, not rounded.
    """
    mean = jnp.asarray(IMAGENET_MEAN, jnp.float32)
    std = jnp.asarray(IMAGENET_STD, jnp.float32)
    return (images * std + mean) * 255.0
