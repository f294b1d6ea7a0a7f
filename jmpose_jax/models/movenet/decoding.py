"""From MoveNet's heads to people, on the device: one person as thunder and lightning decode, several as multipose.

Equal to the published graphs' own decoding but for what float16 constants round.
"""

from collections.abc import Mapping

import flax.struct
import jax
import jax.numpy as jnp

from jmpose_jax.models.movenet.network import STRIDE

FALLOFF = 1.8  # cells: a score is divided by the distance from where it is expected, plus this
SPREAD = 0.3  # of the shorter side: how fast a joint's heatmap loses weight away from where the centre expects it
WINDOW = 5  # cells of the maximum that a centre must equal
TIE = 1e-6  # of that equality
COUNTED = 0.127  # joints of at least this score count in a person's


@flax.struct.dataclass
class People:
    """The people of N images, P each, the surest first.

    Attributes:
      keypoints: float32 [N, P, 17, 2], (x, y) in image pixels, order of `skeletons.COCO17`.
      scores: float32 [N, P, 17].
      boxes: float32 [N, P, 4], (x, y, width, height) in image pixels, within the image.
      centers: float32 [N, P], how sure the person is; 0 where there are fewer people.
      person_scores: float32 [N, P], the same times the mean score of the joints that are seen.
    """

    keypoints: jax.Array
    scores: jax.Array
    boxes: jax.Array
    centers: jax.Array
    person_scores: jax.Array


def decode_one(heads: Mapping[str, jax.Array]) -> tuple[jax.Array, jax.Array]:
    """The person nearest to the middle of each image.

    The surest centre, its score divided by the distance from the middle, expects each joint somewhere; the joint is
    where its heatmap, divided by the distance from there, is highest.

    Args:
      heads: of `MoveNet`, float32 [N, h, w, C] by name.

    Returns:
      keypoints float32 [N, 17, 2], (x, y) in image pixels, and scores [N, 17].
    """
    size, height, width, joints = heads["kpt_heatmap"].shape
    y, x = _cells(height, width)
    middle = jnp.hypot(y - height / 2, x - width / 2) + FALLOFF
    center = jnp.argmax((jax.nn.sigmoid(heads["center"][..., 0]) / middle).reshape(size, -1), -1)
    cell = jnp.stack([center // width, center % width], -1).astype(jnp.float32)
    expected = _at(_pairs(heads["kpt_regress"]), center) + cell[:, None]  # [N, K, 2]
    distance = jnp.hypot(y[..., None] - expected[:, None, None, :, 0], x[..., None] - expected[:, None, None, :, 1])
    heatmaps = jax.nn.sigmoid(heads["kpt_heatmap"])
    places = jnp.argmax((heatmaps / (distance + FALLOFF)).reshape(size, -1, joints), 1)  # [N, K]
    return _refined(heads, places), jnp.take_along_axis(heatmaps.reshape(size, -1, joints), places[:, None], 1)[:, 0]


def decode_several(heads: Mapping[str, jax.Array], count: int = 6, shared_scores: bool = False) -> People:
    """The surest people of each image.

    A person is a peak of the centres; a joint is where its heatmap, times a Gaussian about the place that the centre
    expects, is highest within the person's box.

    Args:
      heads: of `MoveNet("multipose")`, float32 [N, h, w, C] by name.
      count: P, how many people are decoded.
      shared_scores: a joint's score is the highest that any of the people gives its cell, as in the published graph,
        where a person who is none so takes the score of another's joint; else it is the person's own.
    """
    size, height, width, joints = heads["kpt_heatmap"].shape
    limits = jnp.array([height, width], jnp.float32)
    centers = jax.nn.sigmoid(heads["center"])
    highest = jax.lax.reduce_window(centers, -jnp.inf, jax.lax.max, (1, WINDOW, WINDOW, 1), (1, 1, 1, 1), "SAME")
    peaks = jnp.where(highest - centers < TIE, centers, 0.0).reshape(size, -1)
    scores, places = jax.lax.top_k(peaks, count)  # [N, P]

    cell = jnp.stack([places // width, places % width], -1).astype(jnp.float32)
    middle = cell + _at(heads["box_offset"], places)
    extent = jnp.maximum(_at(heads["box_scale"], places), 0.0) / 2
    low, high = jnp.clip(middle - extent, 0.0, limits), jnp.clip(middle + extent, 0.0, limits)
    expected = _at(_pairs(heads["kpt_regress"]), places) + cell[:, :, None]  # [N, P, K, 2]

    # The Gaussian and the box are products of one function of the row and one of the column.
    sides = []
    for axis, length in enumerate((height, width)):
        line = jnp.arange(length, dtype=jnp.float32)[:, None]  # [n, 1]
        falls = jnp.exp(-((line - expected[:, :, None, :, axis]) ** 2) / (SPREAD * min(height, width)))
        inside = (line >= low[:, :, None, None, axis]) & (line < high[:, :, None, None, axis])
        sides.append(falls * inside)  # [N, P, n, K]
    heatmaps = jax.nn.sigmoid(heads["kpt_heatmap"])

    def of_person(rows: jax.Array, columns: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Args: [N, h, K] and [N, w, K]. Returns: places [N, K] and the weighted heatmaps there."""
        weighted = (heatmaps * rows[:, :, None] * columns[:, None]).reshape(size, -1, joints)
        return jnp.argmax(weighted, 1), jnp.max(weighted, 1)

    # One after another: all at once would be P times the heatmaps.
    found, sure = jax.lax.map(lambda side: of_person(*side), tuple(jnp.moveaxis(s, 1, 0) for s in sides))
    found, sure = jnp.moveaxis(found, 0, 1), jnp.moveaxis(sure, 0, 1)  # [N, P, K]
    if shared_scores:
        sure = jnp.take_along_axis(heatmaps.reshape(size, -1, joints), found, 1) * _highest(sides, found)
    keypoints = jax.vmap(lambda p: _refined(heads, p), 1, 1)(found)
    counted = sure > COUNTED
    mean = jnp.sum(sure * counted, -1) / jnp.maximum(jnp.sum(counted, -1), 1)
    boxes = STRIDE * jnp.concatenate([low[..., ::-1], (high - low)[..., ::-1]], -1)
    return People(keypoints, sure, boxes, scores, scores * mean)


def _highest(sides: list[jax.Array], found: jax.Array) -> jax.Array:
    """The largest weight that any of the people has at the joints' cells, [N, P, K]; sides [N, P, n, K]."""
    rows, columns = sides
    width = columns.shape[2]

    def of_joint(rows: jax.Array, columns: jax.Array, found: jax.Array) -> jax.Array:
        """Args: [P, h], [P, w] and [P]. Returns: [P]."""
        return jnp.max(rows[:, found // width] * columns[:, found % width], 0)

    by_joint = jax.vmap(jax.vmap(of_joint, (2, 2, 1), 1))
    return by_joint(rows, columns, found)


def _cells(height: int, width: int) -> tuple[jax.Array, jax.Array]:
    """Row and column of every cell, float32 [h, w] each."""
    return tuple(jnp.meshgrid(*(jnp.arange(n, dtype=jnp.float32) for n in (height, width)), indexing="ij"))


def _pairs(maps: jax.Array) -> jax.Array:
    """[N, h, w, 2 K] as [N, h, w, K, 2]."""
    return maps.reshape(*maps.shape[:3], -1, 2)


def _at(maps: jax.Array, places: jax.Array) -> jax.Array:
    """Values of maps [N, h, w, …] at cells int [N] or [N, P]: [N, …] or [N, P, …]."""
    flat = maps.reshape(maps.shape[0], -1, *maps.shape[3:])
    return jax.vmap(lambda values, place: values[place])(flat, places)


def _refined(heads: Mapping[str, jax.Array], places: jax.Array) -> jax.Array:
    """Joints int [N, K], a cell each, with their offsets: (x, y) in image pixels, float32 [N, K, 2]."""
    size, height, width, joints = heads["kpt_heatmap"].shape
    offsets = _pairs(heads["kpt_offset"]).reshape(size, -1, joints, 2)
    offset = jnp.take_along_axis(offsets, places[:, None, :, None], 1)[:, 0]
    cell = jnp.stack([places // width, places % width], -1).astype(jnp.float32)
    return STRIDE * (cell + offset)[..., ::-1]
