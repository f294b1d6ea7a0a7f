import cv2
import numpy as np
import pytest

from data_pipeline.synthetic.flow import exact_flow, read_flo, stays_visible, write_flo
from data_pipeline.synthetic.parts import JOINT_PARTS, NUM_PARTS
from data_pipeline.synthetic.visibility import Cause
from jmpose_jax.errors import InputError

PAIRS = ((2, 3), (4, 6), (6, 5))


def edges(labels):
    kernel = np.ones((3, 3), np.uint8)
    return (cv2.dilate(labels, kernel) != cv2.erode(labels, kernel)).astype(np.float32)


def warp(image, flow):
    height, width = flow.shape[:2]
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float32) + flow
    return cv2.remap(image, grid[..., 0], grid[..., 1], cv2.INTER_LINEAR)


def test_warping_by_the_flow_gives_the_other_frame(clean_videos):
    """On pixels that stay visible, away from the blended rims of the parts."""
    errors = []
    for video in clean_videos:
        for a, b in PAIRS:
            flow = exact_flow(video, a, b)
            sound = stays_visible(video, a, b, flow) & (edges(video.labels[a]) == 0)
            sound &= warp(edges(video.labels[b]), flow) == 0
            frame = video.frames[a].astype(float)
            warped = np.abs(warp(video.frames[b], flow) - frame).mean(-1)
            still = np.abs(video.frames[b] - frame).mean(-1)
            people = (video.labels[a] > 0) & (video.labels[a] < 200)
            errors.append([d[sound & part].mean() for part in (people, video.labels[a] == 0) for d in (warped, still)])
    people, people_still, ground, ground_still = np.mean(errors, 0)
    assert people < 4 and people < 0.2 * people_still
    assert ground < 1.5 and ground < 0.4 * ground_still


def test_flow_at_a_seen_joint_is_the_joints_way(clean_videos):
    errors = []
    for video in clean_videos:
        for a, b in PAIRS:
            flow = exact_flow(video, a, b)
            for person, joint in np.argwhere(video.causes[:, a] == Cause.SEEN):
                x, y = np.round(video.joints[person, a, joint]).astype(int)
                owner, part = divmod(int(video.labels[a, y, x]) - 1, NUM_PARTS)
                if owner == person and part in JOINT_PARTS[joint]:
                    way = video.joints[person, b, joint] - video.joints[person, a, joint]
                    errors.append(np.linalg.norm(flow[y, x] - way))
    assert len(errors) > 300
    assert np.median(errors) < 0.1
    assert np.quantile(errors, 0.95) < 0.5


def test_there_and_back_again(clean_videos):
    for video in clean_videos[:3]:
        there, back = exact_flow(video, 3, 5), exact_flow(video, 5, 3)
        sound = stays_visible(video, 3, 5, there) & (edges(video.labels[3]) == 0)
        sound &= warp(edges(video.labels[5]), there) == 0
        residual = np.linalg.norm(there + warp(back, there), axis=-1)
        assert np.quantile(residual[sound], 0.98) < 0.3


def test_no_time_no_flow(clean_videos):
    np.testing.assert_allclose(exact_flow(clean_videos[0], 4, 4), 0, atol=1e-3)


def test_stride_takes_every_nth_vector(clean_videos):
    video = clean_videos[1]
    full, coarse = exact_flow(video, 4, 5), exact_flow(video, 4, 5, stride=4)
    assert coarse.shape == (60, 80, 2)
    np.testing.assert_array_equal(coarse, full[::4, ::4])


def test_occluders_move_by_their_velocity(clean_videos):
    found = 0
    for video in clean_videos:
        flow = exact_flow(video, 4, 6)
        for number, occluder in enumerate(video.scene.occluders):
            covered = video.labels[4] == 255 - number
            found += covered.any()
            np.testing.assert_allclose(
                flow[covered], np.broadcast_to(2 * occluder.velocity, (covered.sum(), 2)), rtol=1e-5
            )
    assert found


def test_flo_files_come_back_as_they_were(tmp_path, rng):
    flow = rng.normal(size=(5, 7, 2)).astype(np.float32)
    write_flo(tmp_path / "a.flo", flow)
    np.testing.assert_array_equal(read_flo(tmp_path / "a.flo"), flow)
    assert [path.name for path in tmp_path.iterdir()] == ["a.flo"]


def test_reads_a_flo_file_of_others(shared):
    path = shared / "data" / "flow" / "0000000-flow_01.flo"
    flow = read_flo(path)
    assert flow.shape == (50, 50, 2)
    if hasattr(cv2, "readOpticalFlow"):
        np.testing.assert_array_equal(flow, cv2.readOpticalFlow(str(path)))


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read"), (b"PIEX" + bytes(20), "no .flo"), (b"PIEH\x02\x00\x00\x00\x02\x00\x00\x00", "2x2")],
)
def test_flo_files_at_fault_are_named(tmp_path, content, message):
    path = tmp_path / "b.flo"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=f"b.flo.*{message}"):
        read_flo(path)
