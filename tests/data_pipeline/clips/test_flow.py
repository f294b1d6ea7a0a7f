"""Flow of clips: exact flow through shards and crops, DIS on the crops, and the three ways to pair frames."""

import zlib

import cv2
import numpy as np
import pytest

from data_pipeline.clips.flow import stored_flow
from data_pipeline.clips.loader import make_loader
from data_pipeline.clips.options import ClipOptions, FlowOptions
from data_pipeline.formats.schema import FLOW_FEATURES, FLOW_SHAPE
from data_pipeline.preparation.prepare import prepare
from data_pipeline.sources.flow_files import flow_name
from data_pipeline.synthetic.flow import write_flo
from jmpose_jax.errors import InputError
from jmpose_jax.ops.geometry import box_affine

# What every pixel of the video moves by from frame a to frame b.
VELOCITY = np.asarray([3.0, -1.5])
PAIRS = {
    "consecutive": [1, 1, 1, 1],
    "key_to_support": [-2, -1, 1, 2],
    "support_to_key": [2, 1, -1, -2],
}


@pytest.fixture(scope="module")
def moving(tmp_path_factory, helpers):
    """A picture that moves evenly: five frames, the exact flow beside them, the middle one annotated."""
    root = tmp_path_factory.mktemp("moving")
    annotation = helpers.write_video(root / "source", frames=5, labeled=(2,))
    fine = helpers.picture(7, 512, 384).astype(np.int16) + np.random.default_rng(0).integers(-40, 40, (384, 512, 1))
    big = cv2.GaussianBlur(fine.clip(0, 255).astype(np.uint8), (0, 0), 1.5)
    width, height = 192, 128
    for number in range(5):
        shift = np.asarray([100.0, 100.0]) - VELOCITY * number
        view = cv2.warpAffine(big, np.array([[1, 0, -shift[0]], [0, 1, -shift[1]]]), (width, height))
        name = f"images/val/000001_mpii_test/{number:06d}.jpg"
        cv2.imwrite(str(root / "source" / name), view[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 98])
    folder = root / "source" / "flow" / "val" / "000001_mpii_test"
    folder.mkdir(parents=True)
    for a in range(5):
        for distance in FLOW_FEATURES:
            if 0 <= a + distance < 5:
                flow = np.broadcast_to(VELOCITY * distance, (height // 4, width // 4, 2))
                write_flo(folder / flow_name(a, a + distance), flow)
    helpers.edit(annotation, lambda c: c["annotations"][0].update(bbox=[60, 30, 60, 70]))
    prepare("synthetic", root / "source", root / "out", progress=False)
    return root / "out"


def batch_of(folder, delta=2, **flow):
    flow = FlowOptions(**{name.removeprefix("flow_"): value for name, value in flow.items()})
    return next(make_loader(folder, "val", ClipOptions(delta, (128, 96)), batch_size=1, flow=flow))


@pytest.mark.parametrize("pairs", PAIRS)
@pytest.mark.parametrize("stride", [1, 4])
def test_exact_flow_arrives_in_crop_pixels(moving, pairs, stride):
    batch = batch_of(moving, flow_source="exact", flow_pairs=pairs, flow_stride=stride)
    magnification = 1 / np.linalg.norm(batch.transform[0, 0, :2])
    assert batch.flow.shape == (1, 4, 128 // stride, 96 // stride, 2) and batch.flow.dtype == np.float32
    for flow, distance in zip(batch.flow[0], PAIRS[pairs]):
        middle = flow[len(flow) // 4 : -len(flow) // 4, 5 // stride : -5 // stride]
        np.testing.assert_allclose(
            middle, np.broadcast_to(magnification * VELOCITY * distance, middle.shape), atol=0.02
        )


@pytest.mark.parametrize("pairs", PAIRS)
def test_dis_finds_the_motion_of_the_crops(moving, pairs):
    exact = batch_of(moving, flow_source="exact", flow_pairs=pairs).flow[0]
    found = batch_of(moving, flow_source="dis", flow_pairs=pairs).flow[0]
    assert found.shape == exact.shape
    error = np.linalg.norm(found - exact, axis=-1)[:, 8:-8, 6:-6]
    assert np.median(error) < 0.4 and np.linalg.norm(exact, axis=-1).max() > 2


def test_augmented_exact_flow_turns_with_the_crop(moving):
    augment = {"rotation": 45, "rotation_probability": 1, "half_body_probability": 0, "flip_probability": 0.5}
    clips = ClipOptions(2, (64, 48), augment=augment)
    batches = make_loader(moving, "val", clips, batch_size=1, train=True, flow=FlowOptions("exact"))
    mirrored = 0
    for _ in range(8):
        batch = next(batches)
        linear = np.linalg.inv(batch.transform[0, :, :2])
        mirrored += np.linalg.det(linear) < 0
        np.testing.assert_allclose(batch.flow[0, 1, 8, 6], linear @ VELOCITY, atol=0.02)
    assert 0 < mirrored < 8


def test_none_and_single_frames_carry_no_flow(moving):
    assert batch_of(moving, flow_source="none").flow is None
    assert batch_of(moving, flow_source="dis", delta=0).flow is None
    assert batch_of(moving, flow_source="exact", delta=0).flow is None


def features(distances, shape=(2, 3)):
    values = {FLOW_FEATURES[d]: zlib.compress(np.full((*shape, 2), d, "<f2").tobytes()) for d in distances}
    return values | {FLOW_SHAPE: np.asarray(shape)}


def test_a_repeated_frame_has_no_motion():
    frames = [features([1, 2]) for _ in range(5)]
    flow = stored_flow(frames, (-1, 0, 0, 1, 1), "consecutive", "clip")
    assert flow[:, 0, 0, 0].tolist() == [1, 0, 1, 0]
    flow = stored_flow([features(()) for _ in range(5)], (0, 0, 0, 0, 0), "key_to_support", "clip")
    assert flow.shape[0] == 4 and not flow.any()


def test_flow_over_a_missing_frame_leads_to_the_next_one():
    flow = stored_flow([features([1, 2])] * 5, (-2, 0, 0, 1, 2), "consecutive", "clip")
    assert flow[:, 0, 0, 0].tolist() == [2, 0, 1, 1]


def test_absent_flow_is_named():
    with pytest.raises(InputError, match="video v frame 3: the data set carries no flow over 1 frames"):
        stored_flow([features([2])] * 3, (-1, 0, 1), "consecutive", "video v frame 3")
    with pytest.raises(InputError, match="over 3 frames"):
        stored_flow([features([1, 2])] * 3, (-3, 0, 1), "consecutive", "clip")


def test_exact_flow_of_a_data_set_without_it(source, tmp_path):
    prepare("posetrack18", source, tmp_path / "out", progress=False)
    with pytest.raises(InputError, match="video 000001_mpii_test frame 10000010003: the data set carries no flow"):
        batch_of(tmp_path / "out", flow_source="exact")


def test_box_affine_is_what_the_batch_inverts(moving):
    batch = batch_of(moving)
    affine = box_affine(np.asarray([60, 30, 60, 70]), (96, 128))
    np.testing.assert_allclose(np.linalg.inv(batch.transform[0, :, :2]), affine[:, :2], rtol=1e-5)
