import dataclasses

import cv2
import numpy as np
import pytest

from data_pipeline.synthetic import effects, occluders
from data_pipeline.synthetic.config import SyntheticConfig, labelled_frames
from data_pipeline.synthetic.parts import NUM_PARTS
from data_pipeline.synthetic.render import crop_speed, render_video, video_rng
from data_pipeline.synthetic.scene import CROP_HEIGHT, crop_scale
from data_pipeline.synthetic.visibility import Cause, findable
from jmpose_jax.errors import InputError


def test_shapes(default_videos):
    for video in default_videos:
        count = len(video.scene.people)
        assert video.frames.shape == (9, 240, 320, 3) and video.frames.dtype == np.uint8
        assert video.joints.shape == (count, 9, 15, 2)
        assert video.causes.shape == (count, 9, 15)
        assert video.labels.shape == (9, 240, 320)


def test_the_same_stream_gives_the_same_video():
    config = SyntheticConfig(num_frames=5)
    first, second = (render_video(video_rng(5, "val", 3), config) for _ in range(2))
    np.testing.assert_array_equal(first.frames, second.frames)
    np.testing.assert_array_equal(first.joints, second.joints)
    other = render_video(video_rng(5, "test", 3), config)
    assert (first.frames != other.frames).any()


def test_each_regime_has_its_speed(default_videos):
    speeds = {"slow": [], "fast": []}
    for video in default_videos:
        speeds[video.scene.regime].append(crop_speed(video))
    assert len(speeds["slow"]) >= 3 and len(speeds["fast"]) >= 3
    assert 1.2 < np.median(speeds["slow"]) < 2.8
    assert np.median(speeds["fast"]) > 4.0
    assert max(speeds["slow"]) < 4.0


def test_crop_scale_fits_the_posetrack_box():
    joints = np.array([[[100.0, 20.0], [110.0, 100.0]]])
    np.testing.assert_allclose(crop_scale(joints), CROP_HEIGHT / (80 * 1.3))


def test_annotated_people_stay_in_the_picture(default_videos):
    causes = np.concatenate([video.causes[: len(video.scene.speeds)].ravel() for video in default_videos])
    assert np.mean(causes == Cause.OUT_OF_FRAME) < 0.01
    assert 0.05 < np.mean(causes == Cause.HIDDEN) < 0.3
    assert np.mean(causes == Cause.SEEN) > 0.6


def test_seen_joints_lie_on_their_person_and_hidden_ones_do_not(default_videos):
    for video in default_videos:
        for person in range(len(video.scene.people)):
            for frame in (0, 4, 8):
                x, y = np.round(video.joints[person, frame]).astype(int).T
                causes = video.causes[person, frame]
                inside = causes != Cause.OUT_OF_FRAME
                owner = (video.labels[frame][y[inside], x[inside]].astype(int) - 1) // NUM_PARTS
                causes = causes[inside]
                assert (owner[causes == Cause.HIDDEN] != person).all()
                assert (owner[causes == Cause.SELF_OCCLUDED] == person).all()
                assert np.isin(owner[causes == Cause.SEEN], (person, -1)).all()


def test_an_occluder_hides_what_it_covers_and_nothing_else(rng):
    config = SyntheticConfig(people=(1.0,), occluder_probability=0.0, bystander_probability=0.0, effects=False)
    free = render_video(video_rng(2, "train", 0), config)
    assert (free.causes != Cause.HIDDEN).all()
    nose = free.joints[0, 4, 13]
    cover = np.ones((31, 31, 4), np.float32)
    occluder = occluders.Occluder(cover, nose - 15, np.array([40.0, 0.0]))
    labels = np.zeros((240, 320), np.uint8)
    occluders.stamp_label(labels, occluder, 0.0, 255)
    assert labels[int(nose[1]), int(nose[0])] == 255
    assert (labels == 255).sum() == 31 * 31
    labels[:] = 0
    occluders.stamp_label(labels, occluder, 1.0, 255)
    assert labels[int(nose[1]), int(nose[0])] == 0


def test_stamp_at_half_a_pixel_shares_the_edge():
    image = np.zeros((10, 10, 3), np.float32)
    cover = np.zeros((4, 4, 4), np.float32)
    cover[1:-1, 1:-1] = (100, 100, 100, 1)
    occluders.stamp(image, cover, np.array([2.5, 3.0]))
    np.testing.assert_allclose(image[4, 3:6, 0], [50, 100, 50])
    np.testing.assert_allclose(image.sum(), 3 * 400, rtol=1e-5)


@pytest.mark.parametrize("way", [(9.0, 0.0), (-6.0, 5.0)])
def test_smear_keeps_the_light_and_the_middle(way):
    cover = np.zeros((12, 8, 4), np.float32)
    cover[1:-1, 1:-1] = 1
    blurred, shift = occluders.smeared(cover, np.array(way))
    np.testing.assert_allclose(blurred.sum(), cover.sum(), rtol=1e-4)
    rows, columns = np.indices(blurred.shape[:2])
    middle = np.array([(blurred[..., 3] * columns).sum(), (blurred[..., 3] * rows).sum()]) / blurred[..., 3].sum()
    np.testing.assert_allclose(middle + shift, [3.5, 5.5], atol=0.3)
    assert np.ptp(columns[blurred[..., 3] > 0.01]) >= abs(way[0]) + 4


def test_bursts_last_one_frame(rng):
    config = SyntheticConfig(defocus_probability=0.5, shake_probability=0.4)
    for _ in range(20):
        look = effects.random_effects(rng, config)
        burst = (look.defocus >= config.defocus_sigma[0]) | (np.hypot(*look.shake.T) > 0)
        # A softened neighbour of a strong defocus can reach the smallest sigma of a burst.
        assert not (burst[1:] & burst[:-1] & (look.defocus[1:] > 1.4) & (look.defocus[:-1] > 1.4)).any()
        assert burst.any()


def test_a_defocused_frame_is_softer_and_said_to_be():
    config = SyntheticConfig(
        defocus_probability=0.25, defocus_sigma=(2.5, 3.0), shake_probability=0, noise_sigma=(0, 0)
    )
    found = 0
    for index in range(5):
        video = render_video(video_rng(8, "train", index), dataclasses.replace(config, fast_fraction=0.0))
        sharp = [cv2.Laplacian(frame, cv2.CV_32F).var() for frame in video.frames]
        for frame in np.flatnonzero(video.blurred[0]):
            near = [sharp[t] for t in range(max(0, frame - 2), min(9, frame + 3)) if t != frame]
            assert sharp[frame] < np.median(near)
            found += 1
    assert found


def test_findable_joints_are_shown_within_delta_frames():
    causes = np.full((9, 3), Cause.HIDDEN)
    causes[4, 0] = Cause.SEEN
    causes[1, 1] = Cause.SELF_OCCLUDED
    causes[:, 2] = Cause.SEEN
    causes[3, 2] = Cause.OUT_OF_FRAME
    np.testing.assert_array_equal(
        findable(causes, 2),
        np.array([
            [0, 0, 1, 1, 1, 1, 1, 0, 0],
            [1, 1, 1, 1, 0, 0, 0, 0, 0],
            [1, 1, 1, 0, 1, 1, 1, 1, 1],
        ], bool).T,
    )  # fmt: skip


def test_labelled_frames():
    config = SyntheticConfig()
    assert labelled_frames("train", config) == tuple(range(9))
    assert labelled_frames("val", config) == labelled_frames("test", config) == (2, 6)
    assert labelled_frames("val", dataclasses.replace(config, num_frames=5)) == (2,)


@pytest.mark.parametrize(
    ("change", "name"),
    [(dict(num_frames=4), "num_frames"), (dict(people=()), "people"), (dict(width=10), "width"),
     (dict(flow_stride=0), "flow_stride")],
)  # fmt: skip
def test_settings_at_fault_are_named(change, name):
    with pytest.raises(InputError, match=name):
        SyntheticConfig(**change)
