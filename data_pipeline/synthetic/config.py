"""The settings of the embedded data set."""

import dataclasses

from jmpose_jax.errors import InputError

SPLITS = ("train", "val", "test")
REGIMES = ("slow", "fast")


@dataclasses.dataclass(frozen=True)
class SyntheticConfig:
    """What the rendered videos look like. Ranges are (low, high), drawn uniformly per video.

    Attributes:
      width: pixels.
      height: pixels.
      num_frames: frames a video.
      delta: how many frames before and after a joint's frame the imagined annotator looks for it; in val and test,
        also how many frames a labelled frame has on either side.
      label_stride: in val and test every how many frames one is labelled (PoseTrack: 4).
      people: probabilities of 1, 2, 3, ... annotated people.
      bystander_probability: a far, small person who is not annotated but lies in an ignore region.
      fast_fraction: share of videos of the fast regime.
      slow_speed: median joint motion of a person, pixels a frame in a crop of 96x128 of the PoseTrack box, in the
        slow regime.
      fast_speed: the same in the fast regime.
      motions: (name, weight) of the procedural motions.
      mocap: folder of DeepMimic motion files or None.
      mocap_fraction: share of people who move by a motion file where `mocap` is given.
      occluder_probability: share of videos with moving foreground occluders.
      occluder_count: how many of them, (low, high) inclusive.
      occluder_speed: pixels a frame.
      occluder_width: pixels.
      defocus_probability: share of frames that are out of focus; the neighbours are sharper.
      defocus_sigma: pixels.
      shake_probability: share of frames in which the camera jerks during the exposure.
      shake_length: pixels.
      slow_shutter: exposure as a share of the frame interval in the slow regime.
      fast_shutter: the same in the fast regime.
      max_sub_frames: how many sub-frames at most make up one blurred frame.
      noise_sigma: grey levels.
      gain: exposure gain.
      jpeg_quality: of the written frames.
      shadows: soft shadows under the feet.
      effects: False leaves out blur, defocus, shake, gain and noise.
      flow_stride: of the written flow every how many pixels one vector is stored.
    """

    width: int = 320
    height: int = 240
    num_frames: int = 9
    delta: int = 2
    label_stride: int = 4
    people: tuple[float, ...] = (0.66, 0.24, 0.08, 0.02)
    bystander_probability: float = 0.15
    fast_fraction: float = 0.5
    slow_speed: tuple[float, float] = (1.3, 2.7)
    fast_speed: tuple[float, float] = (4.0, 5.5)
    motions: tuple[tuple[str, float], ...] = (
        ("random", 0.32), ("walk", 0.16), ("run", 0.16), ("jump", 0.1),
        ("squat", 0.07), ("wave", 0.07), ("kick", 0.07), ("turn", 0.05),
    )  # fmt: skip
    mocap: str | None = None
    mocap_fraction: float = 0.5
    occluder_probability: float = 0.9
    occluder_count: tuple[int, int] = (1, 2)
    occluder_speed: tuple[float, float] = (8.0, 30.0)
    occluder_width: tuple[float, float] = (10.0, 36.0)
    defocus_probability: float = 0.14
    defocus_sigma: tuple[float, float] = (1.0, 3.0)
    shake_probability: float = 0.14
    shake_length: tuple[float, float] = (4.0, 12.0)
    slow_shutter: tuple[float, float] = (0.1, 0.4)
    fast_shutter: tuple[float, float] = (0.25, 0.8)
    max_sub_frames: int = 4
    noise_sigma: tuple[float, float] = (1.0, 8.0)
    gain: tuple[float, float] = (0.7, 1.15)
    jpeg_quality: tuple[int, int] = (75, 95)
    shadows: bool = True
    effects: bool = True
    flow_stride: int = 4

    def __post_init__(self):
        if self.num_frames < 2 * self.delta + 1:
            raise InputError(
                f"num_frames={self.num_frames}: a labelled frame needs {self.delta} neighbours on either side; "
                f"give at least {2 * self.delta + 1}"
            )
        if not 1 <= len(self.people) <= 4:
            raise InputError(f"people={self.people}: give the probabilities of 1 to 4 people")
        if min(self.width, self.height) < 64:
            raise InputError(f"width={self.width}, height={self.height}: give at least 64 pixels each")
        if self.flow_stride < 1:
            raise InputError(f"flow_stride={self.flow_stride}: give a positive number of pixels")


def labelled_frames(split: str, config: SyntheticConfig) -> tuple[int, ...]:
    """The frames of a video that carry annotations.

    Args:
      split: "train", "val" or "test".
      config: the settings.

    Returns:
      In train every frame (dense, as the centre of a PoseTrack video). In val and test every `label_stride`-th frame
      from frame `delta` on, as long as `delta` frames follow: with 9 frames, frames 2 and 6.
    """
    if split == "train":
        return tuple(range(config.num_frames))
    return tuple(range(config.delta, config.num_frames - config.delta, config.label_stride))
