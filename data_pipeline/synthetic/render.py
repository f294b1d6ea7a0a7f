"""A scene rendered to a video with exact ground truth."""

import dataclasses

import cv2
import numpy as np

from data_pipeline.synthetic import draw, effects, occluders, visibility
from data_pipeline.synthetic.body import POINT
from data_pipeline.synthetic.camera import Camera
from data_pipeline.synthetic.config import SPLITS, SyntheticConfig
from data_pipeline.synthetic.parts import PersonGeometry, person_geometry
from data_pipeline.synthetic.scene import Scene, crop_scale, frame_moments, random_scene

_SMEAR_STEP = 2.0  # pixels between two sub-frames
_STILL = 0.35  # pixels; a background that moves less during an exposure is drawn once


@dataclasses.dataclass(frozen=True)
class Video:
    """A rendered video of N frames and P people, bystanders last.

    Attributes:
      scene: what was rendered.
      frames: uint8 [N, H, W, 3], RGB.
      joints: float [P, N, 15, 2], pixels, order of `skeletons.POSETRACK15`.
      causes: int [P, N, 15] of `visibility.Cause`.
      head_sizes: float [P, N], length of the head at its distance, pixels.
      blurred: bool [P, N], clearly softer than the frames within `delta` are on the median.
      labels: uint8 [N, H, W], see `draw.person_label`; occluders count down from 255.
      geometry: of each person at the N frames.
      camera: at the N frames.
      jpeg_quality: to write the frames with.
    """

    scene: Scene
    frames: np.ndarray
    joints: np.ndarray
    causes: np.ndarray
    head_sizes: np.ndarray
    blurred: np.ndarray
    labels: np.ndarray
    geometry: tuple[PersonGeometry, ...]
    camera: Camera
    jpeg_quality: int


def video_rng(seed: int, split: str, index: int) -> np.random.Generator:
    """The source of everything in one video; no two videos of any splits share it."""
    return np.random.default_rng([seed, SPLITS.index(split), index])


def render_video(rng: np.random.Generator, config: SyntheticConfig, library=None) -> Video:
    """Draws a scene and renders it.

    Args:
      rng: source of everything.
      config: the settings.
      library: a `mocap.Library` or None.

    Returns:
      The video.
    """
    cv2.setNumThreads(1)
    scene = random_scene(rng, config, library)
    look = effects.random_effects(rng, config)
    moments = frame_moments(config)
    camera = scene.camera(moments, config)
    geometry = tuple(person_geometry(p.points(moments), p.body, camera) for p in scene.people)
    labels = _label_maps(scene, geometry, moments, config)
    first = visibility.first_occluder_label(len(scene.people))
    causes = np.array([
        [visibility.joint_causes(labels[t], g, index, t, first) for t in range(config.num_frames)]
        for index, g in enumerate(geometry)
    ])  # fmt: skip
    joints = np.stack([g.points[:, : visibility.NUM_JOINTS] for g in geometry])
    speed = joint_speed(joints)
    smear = np.median(speed, -1) * (scene.shutter if config.effects else 0)
    frames = _frames(scene, geometry, camera, moments, speed, look, config)
    neck, top = POINT["head_bottom"], POINT["head_top"]
    head_sizes = np.stack([
        p.body.head * camera.focal / g.point_depth[:, [neck, top]].mean(1) for p, g in zip(scene.people, geometry)
    ])  # fmt: skip
    softness = effects.softness(smear, look) if config.effects else smear
    return Video(
        scene=scene,
        frames=frames,
        joints=joints,
        causes=causes,
        head_sizes=head_sizes,
        blurred=_softer_than_neighbours(softness, config.delta),
        labels=labels,
        geometry=geometry,
        camera=camera,
        jpeg_quality=look.jpeg_quality,
    )


def joint_speed(joints: np.ndarray) -> np.ndarray:
    """Speed of joints, float [..., N, K, 2] -> float [..., N, K], pixels a frame, from both neighbours."""
    return np.linalg.norm(np.gradient(joints, axis=-3), axis=-1)


def crop_speed(video: Video) -> float:
    """Median joint motion of the annotated people from frame to frame, in pixels of a 96x128 crop."""
    joints = video.joints[: len(video.scene.speeds)]
    way = np.linalg.norm(np.diff(joints, axis=1), axis=-1)
    return float(np.median(way * crop_scale(joints)[:, 1:, None]))


def _softer_than_neighbours(softness, delta):
    blurred = np.zeros(softness.shape, bool)
    count = softness.shape[-1]
    for frame in range(count):
        near = [t for t in range(max(0, frame - delta), min(count, frame + delta + 1)) if t != frame]
        usual = np.median(softness[..., near], -1)
        blurred[..., frame] = softness[..., frame] > np.maximum(0.8, 1.5 * usual)
    return blurred


def _label_maps(scene, geometry, moments, config):
    pieces = _pieces(scene, geometry, outlines_only=True)
    maps = []
    for index, moment in enumerate(moments):
        labels = draw.label_map((config.height, config.width), pieces, index)
        for number, occluder in enumerate(scene.occluders):
            occluders.stamp_label(labels, occluder, moment, 255 - number)
        maps.append(labels)
    return np.stack(maps)


def _pieces(scene, geometry, outlines_only=False):
    return [
        piece
        for index, (person, of_person) in enumerate(zip(scene.people, geometry))
        for piece in draw.person_pieces(index, of_person, person.look, scene.light, outlines_only)
    ]


def _exposures(scene, moments, speed, config):
    """The moments that make up each frame: more of them where more moves."""
    groups = []
    for frame, moment in enumerate(moments):
        smear = scene.shutter * np.quantile(speed[:, frame], 0.9) if config.effects else 0.0
        count = int(np.clip(np.ceil(smear / _SMEAR_STEP), 1, config.max_sub_frames))
        groups.append(moment + scene.shutter * (np.arange(count) - (count - 1) / 2) / count)
    return groups


def _frames(scene, geometry, camera, moments, speed, look, config):
    groups = _exposures(scene, moments, speed, config)
    flat = np.concatenate(groups)
    cameras = scene.camera(flat, config)
    moved = [person_geometry(p.points(flat), p.body, cameras) for p in scene.people]
    pieces = _pieces(scene, moved)
    maps = _background_maps(scene, cameras)
    shutter = scene.shutter if config.effects else 0.0
    covers = [occluders.smeared(o.image, o.velocity * shutter) for o in scene.occluders]
    frames, taken = [], 0
    for frame, group in enumerate(groups):
        total = np.zeros((config.height, config.width, 3), np.float32)
        still = _way(maps[taken], maps[taken + len(group) - 1], config) < _STILL
        for index in range(taken, taken + len(group)):
            if index == taken or not still:
                empty = cv2.warpAffine(
                    scene.background, maps[index], (config.width, config.height),
                    flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT_101,
                )  # fmt: skip
            picture = empty.copy()
            if config.shadows:
                _shadows(picture, moved, index)
            draw.paint(picture, pieces, index)
            cv2.accumulate(picture, total)
        taken += len(group)
        total *= 1 / len(group)
        for occluder, (cover, shift) in zip(scene.occluders, covers):
            occluders.stamp(total, cover, occluder.at(moments[frame]) + shift)
        if config.effects:
            frames.append(effects.expose(total, look, frame))
        else:
            frames.append(np.round(total).astype(np.uint8))
    return np.stack(frames)


def _way(first, last, config):
    """The farthest that a corner of the image moves over the background between two affine maps."""
    corners = np.array([(0, 0, 1), (config.width, 0, 1), (0, config.height, 1), (config.width, config.height, 1)])
    return np.linalg.norm(corners @ (last - first).T, axis=1).max()


def _background_maps(scene, camera):
    """Affine maps from image pixels to pixels of the background, float [F, 2, 3]."""
    to_image = camera.plane_map(scene.background_z)
    maps = []
    for matrix in to_image:
        to_plane = cv2.invertAffineTransform(matrix)
        linear = scene.background_map[:, :2] @ to_plane[:, :2]
        offset = scene.background_map[:, :2] @ to_plane[:, 2] + scene.background_map[:, 2]
        maps.append(np.column_stack([linear, offset]))
    return np.stack(maps)


_SHADOW = np.exp(-4 * sum(np.meshgrid(*[np.linspace(-1, 1, 33) ** 2] * 2))).astype(np.float32)


def _shadows(picture, people, index):
    """A soft dark spot under each foot."""
    height, width = picture.shape[:2]
    for geometry in people:
        for side in ("left", "right"):
            x, y = geometry.points[index, POINT[f"{side}_sole"]]
            half = int(0.2 * geometry.torso.scale[index])
            flat = max(2, half // 4)
            x, y = int(round(x)), int(round(y))
            if half <= x < width - half and flat <= y < height - flat:
                spot = cv2.resize(_SHADOW, (2 * half, 2 * flat))[..., None]
                patch = picture[y - flat : y + flat, x - half : x + half]
                patch[:] = patch * (1 - 0.45 * spot)
