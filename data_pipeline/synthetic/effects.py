"""What a camera does to a picture: blur, exposure and noise."""

import dataclasses

import cv2
import numpy as np

from data_pipeline.synthetic.config import SyntheticConfig


@dataclasses.dataclass(frozen=True)
class Effects:
    """The effects of a video of N frames.

    Attributes:
      defocus: float [N], sigma of the blur in pixels.
      shake: float [N, 2], way of the camera's jerk during the exposure, pixels.
      gain: float32 [3], of the colour channels.
      noise: float32 [H + margin, W + margin, 3], grey levels; every frame takes another window of it.
      windows: int [N, 2], corners of the windows.
      jpeg_quality: 0..100.
    """

    defocus: np.ndarray
    shake: np.ndarray
    gain: np.ndarray
    noise: np.ndarray
    windows: np.ndarray
    jpeg_quality: int


def random_effects(rng: np.random.Generator, config: SyntheticConfig) -> Effects:
    """Draws the effects of a video. Defocus and jerks come as bursts of one frame, never twice running, because a
    frame that is softer than its neighbours is where time helps."""
    count = config.num_frames
    defocus, shake = np.zeros(count), np.zeros((count, 2))
    free = np.ones(count + 1, bool)
    for frame in range(count):
        draw = rng.random()
        if not free[frame]:
            continue
        if draw < config.defocus_probability:
            sigma = rng.uniform(*config.defocus_sigma)
            defocus[frame] = sigma
            rest = sigma * rng.uniform(0, 0.45, 2)
            for neighbour, soft in zip((frame - 1, frame + 1), rest):
                if 0 <= neighbour < count:
                    defocus[neighbour] = max(defocus[neighbour], soft)
            free[frame + 1] = False
        elif draw < config.defocus_probability + config.shake_probability:
            angle = rng.uniform(0, 2 * np.pi)
            shake[frame] = rng.uniform(*config.shake_length) * np.array([np.cos(angle), np.sin(angle)])
            free[frame + 1] = False
    margin = 32
    half = (config.height + margin) // 2, (config.width + margin) // 2
    noise = rng.standard_normal((*half, 3), dtype=np.float32)
    noise = cv2.resize(noise, (config.width + margin, config.height + margin))
    return Effects(
        defocus=defocus,
        shake=shake,
        gain=np.float32(rng.uniform(*config.gain) * rng.uniform(0.94, 1.06, 3)),
        noise=noise * np.float32(rng.uniform(*config.noise_sigma) / noise.std()),
        windows=rng.integers(0, margin + 1, (count, 2)),
        jpeg_quality=int(rng.integers(config.jpeg_quality[0], config.jpeg_quality[1] + 1)),
    )


def expose(picture: np.ndarray, effects: Effects, frame: int) -> np.ndarray:
    """Turns the light of a frame into the picture that the camera delivers.

    Args:
      picture: float32 [H, W, 3], RGB 0..255; used up.
      effects: of the video.
      frame: which frame it is.

    Returns:
      uint8 [H, W, 3].
    """
    picture = _jerked(picture, effects.shake[frame])
    if effects.defocus[frame] > 0.35:
        picture = cv2.GaussianBlur(picture, (0, 0), float(effects.defocus[frame]))
    height, width = picture.shape[:2]
    left, top = effects.windows[frame]
    noise = effects.noise[top : top + height, left : left + width]
    rows = picture.reshape(height, -1)
    rows *= np.tile(effects.gain, width)  # along whole rows: NumPy is slow where the innermost axis has three elements
    return cv2.add(picture, noise, dtype=cv2.CV_8U)


def _jerked(picture, way):
    length = float(np.hypot(*way))
    if length < 0.5:
        return picture
    height, width = picture.shape[:2]
    steps = int(np.ceil(length / 2.5)) + 1
    total = np.zeros_like(picture)
    for share in np.linspace(-0.5, 0.5, steps):
        move = np.array([[1, 0, share * way[0]], [0, 1, share * way[1]]])
        cv2.accumulate(cv2.warpAffine(picture, move, (width, height), borderMode=cv2.BORDER_REPLICATE), total)
    total *= 1 / steps
    return total


def softness(smear: np.ndarray, effects: Effects) -> np.ndarray:
    """How blurred a person is in each frame.

    Args:
      smear: float [..., N], the way of the person's joints during the exposure, pixels.
      effects: of the video.

    Returns:
      float [..., N], standard deviation of the blur, pixels.
    """
    jerk = np.hypot(*effects.shake.T)
    return np.sqrt((smear**2 + jerk**2) / 12 + effects.defocus**2)
