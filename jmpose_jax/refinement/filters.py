"""Filters that need no training: One-Euro, Savitzky-Golay and Gaussian.

Each is a frozen dataclass that is called as `filter(poses [T, K, D], valid [T, K], fps) -> poses [T, K, D]`, the one
interface of everything that refines poses. A joint's stretches between gaps are filtered by themselves.
"""

import dataclasses
import math

import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.refinement.coordinates import body_size
from jmpose_jax.refinement.runs import in_blocks, runs

USUAL_FPS = 30.0  # where the rate is not known, widths in seconds are those of this one
# Savitzky-Golay's; wider and higher, the powers of the frame that SciPy solves for lose their digits.
MOST_ORDER, MOST_WINDOW = 5, 301
MOST_SIGMA = 1000.0  # frames; more is a mean over all
TRUNCATE = 4.0  # standard deviations at which the Gaussian ends


@dataclasses.dataclass(frozen=True)
class OneEuro:
    """The 1€ filter (Casiez, Roussel and Vogel, CHI 2012, Algorithms 1 and 2): a low-pass that opens with speed.

    It lags behind what is fast. Speed is a joint's, over all its dimensions, in body sizes a second, so that the
    parameters hold for pixels and metres alike. The size is that of the whole sequence (`body_size`), later frames
    included; nothing else is read of them. A single joint has no size: its speed is in units of the poses, in which
    pixels are hardly filtered unless `beta` is lowered.

    Attributes:
      min_cutoff: hertz, of what stands still; lower is steadier.
      beta: hertz a body size per second; higher lags less.
      derivative_cutoff: hertz, of the speed.
    """

    min_cutoff: float = 1.0
    beta: float = 15.0
    derivative_cutoff: float = 1.0
    needs_fps = True

    def __post_init__(self):
        for name in ("min_cutoff", "derivative_cutoff"):
            _check(name, getattr(self, name), 0, exclusive=True)
        _check("beta", self.beta, 0)

    def __call__(self, poses: np.ndarray, valid: np.ndarray, fps: float) -> np.ndarray:
        """Refine poses.

        Args:
          poses: float [T, K, D]; what is not valid is not read.
          valid: bool [T, K].
          fps: frames a second.

        Returns:
          float64 [T, K, D], NaN where not valid.
        """
        result = np.full(poses.shape, np.nan)
        rate, of_speed = fps / body_size(poses, valid), _weight(self.derivative_cutoff, fps)
        period = fps / (2 * math.pi)
        before = np.full(poses.shape[1:], np.nan)  # the estimate; NaN where the joint begins anew
        speed = np.zeros_like(before)
        whole = valid.all(axis=1)
        going_on = (whole & np.concatenate([[False], whole[:-1]])).tolist()
        for t, plain in enumerate(going_on):
            value = poses[t]
            if not plain:
                value = np.where(valid[t][:, None], value, np.nan)
            step = value - before
            if not plain:
                speed[np.isnan(step)] = 0.0
                before = np.where(np.isnan(step), value, before)
                step = np.nan_to_num(step)
            speed += of_speed * (step * rate - speed)
            cutoff = self.min_cutoff + self.beta * np.sqrt(np.einsum("kd,kd->k", speed, speed))
            before += step * (cutoff / (cutoff + period))[:, None]
            result[t] = before
        return result


@dataclasses.dataclass(frozen=True)
class SavitzkyGolay:
    """Savitzky and Golay's filter: at every frame the value of a polynomial fitted to the frames around it.

    Attributes:
      window: frames, odd; None takes those of `SECONDS`, and at least as many as smooth. A shorter stretch takes the
        largest odd window that fits, one of `order` frames or fewer is left as it is.
        At most `MOST_WINDOW`.
      order: of the polynomial, at most `MOST_ORDER`.
    """

    SECONDS = 0.3
    window: int | None = None
    order: int = 2
    needs_fps = False

    def __post_init__(self):
        _check("order", self.order, 0, most=MOST_ORDER)
        if self.window is not None and (self.window % 2 == 0 or self.window <= self.order):
            raise InputError(
                f"window={self.window}: must be odd and larger than order={self.order}; give another window"
            )
        if self.window is not None and self.window > MOST_WINDOW:
            raise InputError(f"window={self.window}: must be at most {MOST_WINDOW} frames; give another window")

    def __call__(self, poses: np.ndarray, valid: np.ndarray, fps: float | None = None) -> np.ndarray:
        """Refine poses; arguments and result as `OneEuro`, and the frame rate may be NaN or None."""
        from scipy.signal import savgol_filter  # slow to load, and commands name the methods in their flags

        result = np.full(poses.shape, np.nan)
        widest = self.frames(fps)
        for frames, joints in runs(valid):
            length = frames.stop - frames.start
            window = min(widest, length - 1 + length % 2)

            def fit(part: np.ndarray, window: int = window) -> np.ndarray:
                return savgol_filter(part, window, self.order, axis=0) if window > self.order else part

            in_blocks(poses, result, frames, joints, widest, fit)
        return result

    def frames(self, fps: float | None) -> int:
        """The window at a frame rate.

        Raises:
          InputError: it would be wider than `MOST_WINDOW`.
        """
        if self.window is not None:
            return self.window
        smoothing = self.order + 2 + (self.order + 1) % 2  # one of order + 1 frames goes through all of them
        window = max(2 * round((self.SECONDS * _rate(fps) - 1) / 2) + 1, smoothing)
        if window > MOST_WINDOW:
            raise InputError(
                f"window={window} frames, {self.SECONDS} s at {fps:g} a second: must be at most {MOST_WINDOW}; "
                "give window"
            )
        return window


@dataclasses.dataclass(frozen=True)
class Gaussian:
    """A mean over the frames around, weighted by a Gaussian; at its ends a stretch goes on as its point reflection.

    Attributes:
      sigma: standard deviation in frames, at most `MOST_SIGMA`; None takes those of `SECONDS`.
    """

    SECONDS = 0.05
    sigma: float | None = None
    needs_fps = False

    def __post_init__(self):
        if self.sigma is not None:
            _check("sigma", self.sigma, 0, exclusive=True, most=MOST_SIGMA)

    def __call__(self, poses: np.ndarray, valid: np.ndarray, fps: float | None = None) -> np.ndarray:
        """Refine poses; arguments and result as `OneEuro`, and the frame rate may be NaN or None."""
        from scipy.ndimage import gaussian_filter1d  # see above

        result = np.full(poses.shape, np.nan)
        sigma = self.frames(fps)
        reach = int(TRUNCATE * sigma + 0.5)

        def smooth(part: np.ndarray) -> np.ndarray:
            # The reflection about the end point keeps a steady motion steady; every other edge bends it.
            if len(part) < 2 or not reach:
                return part
            padded = np.pad(part, ((reach, reach), (0, 0), (0, 0)), "reflect", reflect_type="odd")
            found = gaussian_filter1d(padded, sigma, axis=0, truncate=TRUNCATE)
            return found[reach : reach + len(part)]

        for frames, joints in runs(valid):
            in_blocks(poses, result, frames, joints, 2 * reach, smooth)
        return result

    def frames(self, fps: float | None) -> float:
        """The standard deviation at a frame rate.

        Raises:
          InputError: it would be wider than `MOST_SIGMA`.
        """
        sigma = self.SECONDS * _rate(fps) if self.sigma is None else self.sigma
        if sigma > MOST_SIGMA:
            raise InputError(
                f"sigma={sigma:g} frames, {self.SECONDS} s at {fps:g} a second: must be at most {MOST_SIGMA:g}; "
                "give sigma"
            )
        return sigma


METHODS = {"one_euro": OneEuro, "savgol": SavitzkyGolay, "gaussian": Gaussian}


def make_filter(name: str, **options: float | None) -> OneEuro | SavitzkyGolay | Gaussian:
    """The filter of a name.

    Args:
      name: of `METHODS`.
      options: its attributes; None leaves the default.

    Raises:
      InputError: there is none, an option is not its own, or is out of range.
    """
    if name not in METHODS:
        raise InputError(f"method={name} is not known; use one of {', '.join(METHODS)}")
    given = {option: value for option, value in options.items() if value is not None}
    own = [field.name for field in dataclasses.fields(METHODS[name])]
    for option, value in given.items():
        if option not in own:
            raise InputError(f"{option}={value} is not of {name}, which has {', '.join(own)}; leave it out")
    return METHODS[name](**given)


def _rate(fps: float | None) -> float:
    return USUAL_FPS if fps is None or math.isnan(fps) else fps


def _weight(cutoff: float | np.ndarray, fps: float) -> float | np.ndarray:
    """The weight of a new value in a low-pass of that cutoff, in hertz."""
    return 1 / (1 + fps / (2 * math.pi * cutoff))


def _check(name: str, value: float, least: float, exclusive: bool = False, most: float = math.inf) -> None:
    if not math.isfinite(value) or value < least or (exclusive and value == least):
        raise InputError(f"{name}={value}: must be {'above' if exclusive else 'at least'} {least}; give another value")
    if value > most:
        raise InputError(f"{name}={value}: must be at most {most:g}; give another value")
