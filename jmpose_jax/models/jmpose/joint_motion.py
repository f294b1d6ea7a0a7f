"""How far each joint moves from every supporting frame to the key frame, in heatmap pixels."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jmpose_jax.ops.resample import flow_on_heatmap_grid, peak_mean

# Of `trajectory`: rounds of reweighting, residual at which a peak counts half, pull of the velocity towards zero.
ROUNDS, HALF_WEIGHT, PRIOR = 3, 0.8, 0.05
REACH = 6.0  # heatmap pixels; longer motions are cut to this before they become evidence


def flow_displacement(heatmaps: jax.Array, flow: jax.Array, stride: float) -> jax.Array:
    """The motion of each joint by the flow at the place where it is seen.

    Args:
      heatmaps: float32 [B, T-1, h, w, K], of the supporting frames.
      flow: float32 [B, T-1, H/s, W/s, 2], on the pixels of the supporting frame, towards the key frame, crop pixels.
      stride: crop pixels per heatmap pixel.

    Returns:
      float32 [B, T-1, K, 2], (x, y) in heatmap pixels.
    """
    return peak_mean(heatmaps, flow_on_heatmap_grid(flow, heatmaps.shape[2:4])) / stride


def peaks(heatmaps: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Where each map peaks, float32 [..., K, 2] (x, y), and how high, [..., K]; heatmaps [..., h, w, K]."""
    height, width = heatmaps.shape[-3:-1]
    y, x = jnp.meshgrid(jnp.arange(height), jnp.arange(width), indexing="ij")
    grid = jnp.broadcast_to(jnp.stack([x, y], -1).astype(jnp.float32), (*heatmaps.shape[:-1], 2))
    return peak_mean(heatmaps, grid, power=8.0), jnp.max(heatmaps, (-3, -2))


def trajectory(places: jax.Array, heights: jax.Array, velocity: jax.Array | None = None) -> tuple[jax.Array, jax.Array]:
    """A straight path through the peaks of all frames, by iteratively reweighted least squares.

    A peak weighs by its height squared and, from the second round on, by 1 / (1 + r² / HALF_WEIGHT²) with r its
    distance from the path: a frame in which the joint is missed or taken for another one loses its say.

    Args:
      places: float32 [B, T, K, 2], peaks in the order of time.
      heights: float32 [B, T, K].
      velocity: float32 [B, K, 2], pixels a frame, another measurement of the velocity with the weight of one frame
        at distance one; none by default.

    Returns:
      The velocity [B, K, 2], pixels a frame, and the distance of every peak from the path [B, T, K].
    """
    delta = places.shape[1] // 2
    time = jnp.arange(-delta, delta + 1, dtype=jnp.float32)
    confidence = heights**2
    weights = confidence
    for _ in range(ROUNDS + 1):
        total = weights.sum(1)
        first, second = (jnp.einsum("btk,t->bk", weights, time**power) for power in (1, 2))
        place = jnp.einsum("btk,btkd->bkd", weights, places)
        moment = jnp.einsum("btk,t,btkd->bkd", weights, time, places)
        second = second + PRIOR
        if velocity is not None:
            second, moment = second + 1.0, moment + velocity
        determinant = (total * second - first**2 + 1e-9)[..., None]
        origin = (second[..., None] * place - first[..., None] * moment) / determinant
        slope = (total[..., None] * moment - first[..., None] * place) / determinant
        path = origin[:, None] + slope[:, None] * time[:, None, None]
        squared = jnp.sum((places - path) ** 2, -1)
        weights = confidence / (1.0 + squared / HALF_WEIGHT**2)
    return slope, jnp.sqrt(squared + 1e-6)


class JointMotion(nn.Module):
    """Displacements that a small network chooses, joint by joint, from what flow and trajectories say.

    Both measurements fail often: inside an occluder the flow is the occluder's, on a thin limb it is half the
    background's; a trajectory is as good as the backbone's peaks. They start at equal parts; the network, which sees
    all joints at once, learns where to trust which, and a correction. Gradients reach it through the maps that it
    moves, none pass through it to the heatmaps.

    Attributes:
      hidden: width for each joint.
      shared: width of what the joints tell each other.
    """

    hidden: int = 64
    shared: int = 96

    @nn.compact
    def __call__(self, heatmaps: jax.Array, flow: jax.Array | None = None, stride: float = 4.0) -> jax.Array:
        """Estimate the motion.

        Args:
          heatmaps: float32 [B, T, h, w, K], in the order of time.
          flow: float32 [B, T-1, H/s, W/s, 2], support to key, crop pixels; without it the trajectories serve alone.
          stride: crop pixels per heatmap pixel.

        Returns:
          float32 [B, T-1, K, 2], (x, y) in heatmap pixels.
        """
        batch, length, *_, joints = heatmaps.shape
        delta = length // 2
        time = np.delete(np.arange(-delta, delta + 1, dtype=np.float32), delta)
        supports = jnp.concatenate([heatmaps[:, :delta], heatmaps[:, delta + 1 :]], 1)
        places, heights = peaks(heatmaps)
        by_flow, velocity = None, None
        if flow is not None:
            by_flow = flow_displacement(supports, flow, stride)
            weights = jnp.max(supports, (2, 3)) ** 2
            moment = -jnp.einsum("btk,t,btkd->bkd", weights, time, by_flow)
            velocity = moment / (jnp.einsum("btk,t->bk", weights, time**2) + 1e-6)[..., None]
        slope, residual = trajectory(places, heights, velocity)
        by_path = -slope[:, None] * time[:, None, None]
        others = jnp.concatenate([places[:, :delta], places[:, delta + 1 :]], 1)
        by_peak = places[:, delta : delta + 1] - others
        measured = ([by_flow] if flow is not None else []) + [by_path, by_peak]
        heights, residual, *measured = jax.lax.stop_gradient((heights, residual, *measured))

        evidence = [jnp.clip(m, -REACH, REACH) / REACH * 2 for m in measured]
        evidence += [heights[..., None], jnp.minimum(residual, REACH)[..., None] / REACH * 2]
        x = jnp.concatenate([jnp.moveaxis(e, 2, 1).reshape(batch, joints, -1) for e in evidence], -1)
        zeros, small = nn.initializers.zeros, nn.initializers.normal(0.05)
        x = nn.relu(nn.Dense(self.hidden, name="evidence")(x) + self.param("joint", zeros, (joints, self.hidden)))
        all_joints = nn.relu(nn.DenseGeneral(self.shared, (-2, -1), kernel_init=small, name="all_joints")(x))
        x = x + nn.DenseGeneral((joints, self.hidden), kernel_init=small, name="to_joints")(all_joints)
        x = nn.relu(nn.Dense(self.hidden, name="hidden")(nn.relu(x)))
        choices = len(measured)
        x = nn.DenseGeneral((length - 1, choices + 2), kernel_init=zeros, name="choice")(x)
        x = jnp.swapaxes(x, 1, 2)  # [B, T-1, K, choices + 2]
        # The single peaks start with a twentieth of the trust that the fits have.
        share = jax.nn.softmax(x[..., :choices] + np.array([0.0] * (choices - 1) + [-3.0], np.float32))
        return jnp.einsum("btkc,cbtkd->btkd", share, jnp.stack(measured)) + x[..., choices:]
