"""Which frames of a sequence a network sees, and what it makes of the frames between them.

DeciWatch and HANet see every N-th frame and recover the others.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.records import SequenceBatch

KEY_PADDING = ("boolean", "added")


def poses_of(batch: SequenceBatch | jax.Array) -> jax.Array:
    """The poses float32 [B, T, C] that a network is given, alone or in a batch."""
    return batch.poses if isinstance(batch, SequenceBatch) else jnp.asarray(batch)


def seen_frames(length: int, interval: int) -> np.ndarray:
    """bool [length], True at frames 0, interval, 2 · interval …; the last frame is one of them.

    Raises:
      InputError: it is not.
    """
    if interval < 1 or length < 1 or (length - 1) % interval:
        raise InputError(
            f"a sequence of {length} frames has no seen frame at its end for interval={interval}; give "
            "1 + a multiple of the interval"
        )
    return np.arange(length) % interval == 0


def interpolate(poses: jax.Array, interval: int) -> jax.Array:
    """The frames between the seen ones on straight lines: [B, T, C] to [B, T, C]; what stood there is not read."""
    seen = poses[:, ::interval]
    share = jnp.arange(interval, dtype=poses.dtype)[:, None] / interval
    between = seen[:, :-1, None] * (1 - share) + seen[:, 1:, None] * share
    return jnp.concatenate([between.reshape(poses.shape[0], -1, poses.shape[2]), seen[:, -1:]], 1)


def own_frame_hidden(seen: np.ndarray) -> np.ndarray:
    """bool [T, T]: what the encoder's frames may look at, all seen frames but themselves."""
    return seen[None] & ~np.eye(len(seen), dtype=bool)


def key_padding(seen: np.ndarray, kind: str) -> tuple[jax.Array | None, jax.Array | None]:
    """Mask and bias of the decoder's attention to the encoder's frames.

    Args:
      seen: bool [T].
      kind: "boolean" hides the unseen frames. "added" adds one to their logits and hides none: so PyTorch 1.10, with
        which the published weights were trained, took the public code's mask of integers.

    Raises:
      InputError: another kind.
    """
    if kind == "boolean":
        return jnp.asarray(seen)[None, None, None], None
    if kind == "added":
        return None, jnp.asarray(~seen, jnp.float32)[None, None, None]
    raise InputError(f"key_padding={kind!r} is not known; use one of {', '.join(KEY_PADDING)}")
