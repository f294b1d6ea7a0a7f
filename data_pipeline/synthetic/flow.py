"""The exact optical flow between any two frames of a rendered video, and Middlebury's .flo files.

Every pixel moves with what is drawn there: the background with the camera, an occluder with its own motion, a limb by
the map of its axis and radii, the torso by the map of its sheet. Where two pixels' motions differ the label map says
which one holds; shadows, light and noise do not move pixels.
"""

import dataclasses
import os
import pathlib

import numpy as np

from data_pipeline.synthetic.parts import LIMBS, NUM_PARTS, TORSO, PersonGeometry, TorsoGeometry
from data_pipeline.synthetic.render import Video
from data_pipeline.synthetic.visibility import first_occluder_label
from jmpose_jax.errors import InputError

_MAGIC = np.float32(202021.25)
_SPANS = np.array([limb.span for limb in LIMBS])


def exact_flow(video: Video, source: int, target: int, stride: int = 1) -> np.ndarray:
    """Flow from one frame to another.

    Args:
      video: the rendered video.
      source: frame whose pixels move.
      target: frame they move to.
      stride: every how many pixels a vector is given, from pixel (0, 0) on.

    Returns:
      float32 [ceil(H / stride), ceil(W / stride), 2], (x, y) in pixels of the full frame.
    """
    labels = video.labels[source][::stride, ::stride]
    rows, columns = np.indices(labels.shape)
    pixels = np.stack([columns, rows], -1).reshape(-1, 2) * float(stride)
    kinds = labels.reshape(-1)
    first = first_occluder_label(len(video.scene.people))
    moved = _move_background(video, source, target, pixels)
    for number, occluder in enumerate(video.scene.occluders):
        chosen = kinds == 255 - number
        moved[chosen] = pixels[chosen] + occluder.velocity * (target - source)
    owner, part = np.divmod(kinds.astype(int) - 1, NUM_PARTS)
    of_people = (kinds > 0) & (kinds < first)
    for person, geometry in enumerate(video.geometry):
        chosen = np.flatnonzero(of_people & (owner == person))
        torso = part[chosen] == TORSO
        limbs, sheet = chosen[~torso], chosen[torso]
        moved[limbs] = _move_limbs(geometry, source, target, part[limbs], pixels[limbs])
        moved[sheet] = _move_torso(geometry.torso, source, target, pixels[sheet])
    return (moved - pixels).reshape(*labels.shape, 2).astype(np.float32)


def stays_visible(video: Video, source: int, target: int, flow: np.ndarray) -> np.ndarray:
    """Which pixels of a frame show the same part in another frame.

    Args:
      video: the rendered video.
      source: frame of the pixels.
      target: the other frame.
      flow: float32 [H, W, 2], from source to target at stride 1.

    Returns:
      bool [H, W]: inside the target frame, and the same part is on top where the pixel has gone.
    """
    height, width = flow.shape[:2]
    rows, columns = np.indices((height, width))
    x, y = np.round(columns + flow[..., 0]).astype(int), np.round(rows + flow[..., 1]).astype(int)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    there = video.labels[target][np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]
    return inside & (there == video.labels[source])


def _move_background(video, source, target, pixels):
    maps = video.camera.plane_map(video.scene.background_z)
    to_plane = np.linalg.inv(maps[source][:, :2])
    points = (pixels - maps[source][:, 2]) @ to_plane.T
    return points @ maps[target][:, :2].T + maps[target][:, 2]


def _move_limbs(geometry: PersonGeometry, source, target, limb, pixels):
    start, axis, normal, length, radii = _limb_frame(geometry, source, limb)
    relative = pixels - start
    along, across = (relative * axis).sum(-1), (relative * normal).sum(-1)
    share = along / length
    low, high = _SPANS[limb].T
    inner = np.clip(share, low, high)
    radius = _radius(radii, inner)
    # Beyond the centres of the round ends the surface keeps its distance in radii, not in lengths.
    beyond = (share - inner) * length / radius
    sideways = across / radius
    start, axis, normal, length, radii = _limb_frame(geometry, target, limb)
    radius = _radius(radii, inner)
    along = inner * length + beyond * radius
    return start + along[:, None] * axis + (sideways * radius)[:, None] * normal


def _limb_frame(geometry, moment, limb):
    start, end = geometry.start[moment, limb], geometry.end[moment, limb]
    length = np.maximum(np.linalg.norm(end - start, axis=-1), 1e-3)
    axis = (end - start) / length[:, None]
    normal = np.stack([-axis[:, 1], axis[:, 0]], -1)
    return start, axis, normal, length, (geometry.start_radius[moment, limb], geometry.end_radius[moment, limb])


def _radius(radii, share):
    return radii[0] + (radii[1] - radii[0]) * share


def _move_torso(torso: TorsoGeometry, source, target, pixels):
    here, there = _torso_at(torso, source), _torso_at(torso, target)
    relative = pixels - here.base
    along, across = relative @ here.axis[0], relative @ here.normal[0]
    share = along / here.length
    for _ in range(6):  # the tilt of shoulders and hips makes the way along depend on the way across
        reach, tilt = _at(here.reach, share), _at(here.tilt, share)
        share = (along - tilt * np.clip(across / _away_from_zero(reach), -1, 1)) / here.length
    reach, outer = _at(here.reach, share), _outer(here, share)
    new_reach, new_tilt, new_outer = _at(there.reach, share), _at(there.tilt, share), _outer(there, share)
    side = across / _away_from_zero(reach)
    rim = (np.abs(across) - np.abs(reach)) / (outer - np.abs(reach))
    outside = np.sign(across) * (np.abs(new_reach) + rim * (new_outer - np.abs(new_reach)))
    new_across = np.where(np.abs(side) <= 1, side * new_reach, outside)
    new_along = share * there.length + np.clip(side, -1, 1) * new_tilt
    return there.base + new_along[:, None] * there.axis + new_across[:, None] * there.normal


def _torso_at(torso, moment):
    fields = dataclasses.fields(torso)
    return TorsoGeometry(**{f.name: getattr(torso, f.name)[moment : moment + 1] for f in fields})


def _at(ends, share):
    share = np.clip(share, 0, 1)
    return ends[0, 0] * (1 - share) + ends[0, 1] * share


def _outer(torso, share):
    return np.maximum(torso.half_width(share[None])[0], np.abs(_at(torso.reach, share)) + 1)


def _away_from_zero(value):
    return np.where(np.abs(value) < 1e-3, 1e-3, value)


def write_flo(path: str | os.PathLike, flow: np.ndarray) -> None:
    """Writes a Middlebury .flo file.

    Args:
      path: of the file.
      flow: float [h, w, 2], (x, y) pixels.
    """
    height, width = flow.shape[:2]
    path = pathlib.Path(path)
    partial = path.with_name(path.name + ".partial")
    header = _MAGIC.astype("<f4").tobytes() + np.array([width, height], "<i4").tobytes()
    partial.write_bytes(header + np.ascontiguousarray(flow, "<f4").tobytes())
    os.replace(partial, path)


def read_flo(path: str | os.PathLike) -> np.ndarray:
    """Reads a Middlebury .flo file.

    Args:
      path: of the file.

    Returns:
      float32 [h, w, 2], (x, y) pixels.

    Raises:
      InputError: no such file, another format, or not as long as its header says.
    """
    try:
        content = pathlib.Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give a .flo file") from error
    if len(content) < 12 or np.frombuffer(content, "<f4", 1)[0] != _MAGIC:
        raise InputError(f"{path}: is no .flo file (it does not start with 202021.25)")
    width, height = (int(v) for v in np.frombuffer(content, "<i4", 2, offset=4))
    if width < 1 or height < 1 or len(content) != 12 + 8 * width * height:
        raise InputError(
            f"{path}: holds {len(content)} bytes, which does not fit its size {width}x{height}; write it anew"
        )
    return np.frombuffer(content, "<f4", offset=12).reshape(height, width, 2).copy()
