import numpy as np

from data_pipeline.synthetic.camera import random_move, stand_for

MOMENTS = np.arange(9) - 4.0


def example(seed, fast=True):
    rng = np.random.default_rng(seed)
    root = np.cumsum(rng.normal(0, 0.03, (9, 3)), 0) * [1, 0, 1]
    points = root[:, None] + rng.uniform([-0.4, 0, -0.3], [0.4, 1.8, 0.3], (9, 20, 3))
    move = random_move(rng, fast)
    return move, root, points


def test_the_map_of_a_plane_agrees_with_the_projection_of_its_points():
    move, root, points = example(0)
    camera = move.at(MOMENTS, root, np.array([0.1, 1.0, 4.0]), 320, 240)
    points[..., 2] = -3.0
    pixels, _ = camera.project(points)
    maps = camera.plane_map(-3.0)
    mapped = np.einsum("fij,fnj->fni", maps[..., :2], points[..., :2]) + maps[:, None, :, 2]
    np.testing.assert_allclose(mapped, pixels, atol=1e-9)


def test_a_nearer_camera_shows_things_larger_and_y_points_down():
    move, root, _ = example(1)
    pair = np.zeros((9, 2, 3))
    pair[:, 1, 1] = 1.0
    near, far = (
        move.at(MOMENTS, root * 0, np.array([0, 1.0, distance]), 320, 240).project(pair)[0] for distance in (3.0, 6.0)
    )
    assert (
        np.linalg.norm(near[:, 1] - near[:, 0], axis=-1) > 1.9 * np.linalg.norm(far[:, 1] - far[:, 0], axis=-1)
    ).all()
    assert (near[:, 1, 1] < near[:, 0, 1]).all()


def test_the_camera_stands_where_people_stay_in_the_picture():
    for seed in range(30):
        move, root, points = example(seed)
        stand = stand_for(move, MOMENTS, root, points, 320, 240)
        pixels, _ = move.at(MOMENTS, root, stand, 320, 240).project(points)
        assert pixels.min() > 0
        assert (pixels < [320, 240]).all()
