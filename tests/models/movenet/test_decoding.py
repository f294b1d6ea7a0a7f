"""People from made-up heads: where they are by construction is where they are found."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax.models.movenet import decoding

decode_one = jax.jit(decoding.decode_one)
decode_several = jax.jit(decoding.decode_several, static_argnums=1, static_argnames="shared_scores")

HEIGHT, WIDTH, JOINTS = 24, 32, 17
FAR = -12.0  # a logit that is nothing


def heads_of(people, height=HEIGHT, width=WIDTH):
    """Heads in which each person (centre cell, joint cells [17, 2], logit, half size) is clear; offsets are 0.25."""
    heads = {
        "center": np.full((1, height, width, 1), FAR, np.float32),
        "kpt_heatmap": np.full((1, height, width, JOINTS), FAR, np.float32),
        "kpt_regress": np.zeros((1, height, width, 2 * JOINTS), np.float32),
        "kpt_offset": np.full((1, height, width, 2 * JOINTS), 0.25, np.float32),
        "box_scale": np.zeros((1, height, width, 2), np.float32),
        "box_offset": np.zeros((1, height, width, 2), np.float32),
    }
    for (y, x), joints, logit, half in people:
        heads["center"][0, y, x] = logit
        heads["kpt_regress"][0, y, x] = (joints - (y, x)).ravel()
        heads["box_scale"][0, y, x] = 2 * half
        for k, (row, column) in enumerate(joints):
            heads["kpt_heatmap"][0, row, column, k] = max(logit, heads["kpt_heatmap"][0, row, column, k])
    return heads


def joints_around(rng, cell, reach=5):
    return np.asarray(cell) + rng.integers(-reach, reach + 1, (JOINTS, 2))


@pytest.mark.parametrize("seed", range(4))
def test_two_people_are_found_where_they_are(seed):
    rng = np.random.default_rng(seed)
    cells = ((8, 7), (14, 24))
    joints = [joints_around(rng, cell) for cell in cells]
    heads = heads_of([(cells[0], joints[0], 3.0, 6), (cells[1], joints[1], 2.0, 6)])
    people = decode_several(heads, 4)
    np.testing.assert_allclose(people.centers[0, :2], jax.nn.sigmoid(jnp.array([3.0, 2.0])), rtol=1e-6)
    assert (people.centers[0, 2:] < 1e-4).all()
    for person in (0, 1):
        expected = 4 * (joints[person][:, ::-1] + 0.25)
        np.testing.assert_allclose(people.keypoints[0, person], expected, atol=1e-4)
        y, x = cells[person]
        top, left = max(y - 6, 0), max(x - 6, 0)
        bottom, right = min(y + 6, HEIGHT), min(x + 6, WIDTH)
        np.testing.assert_allclose(people.boxes[0, person], [4 * left, 4 * top, 4 * (right - left), 4 * (bottom - top)])
        # Where the centre expects the joint, the Gaussian takes nothing away.
        np.testing.assert_allclose(people.scores[0, person], jax.nn.sigmoid(3.0 - person), atol=1e-6)
        np.testing.assert_allclose(people.person_scores[0, person], jax.nn.sigmoid(3.0 - person) ** 2, atol=1e-5)


def test_a_joint_outside_a_persons_box_is_another_persons():
    cell, joints = (12, 16), joints_around(np.random.default_rng(1), (12, 16), 3)
    heads = heads_of([(cell, joints, 3.0, 4)])
    heads["kpt_heatmap"][0, 2, 2] = 8.0  # surer, but far away
    people = decode_several(heads, 4)
    np.testing.assert_allclose(people.keypoints[0, 0], 4 * (joints[:, ::-1] + 0.25), atol=1e-4)


def test_a_score_is_the_persons_own_unless_it_is_asked_for_as_published():
    """Two centres claim one joint; it lies where the first expects it."""
    joints = np.tile([[12, 16]], (JOINTS, 1))
    heads = heads_of([((12, 16), joints, 3.0, 10), ((12, 22), joints, 2.0, 10)])
    heads["kpt_regress"][0, 12, 22] = 0  # expects its joints at its centre
    own, shared = (decode_several(heads, 4, **published) for published in ({}, {"shared_scores": True}))
    np.testing.assert_allclose(own.scores[0, 0], shared.scores[0, 0], atol=1e-6)
    falls = np.exp(-(6.0**2) / (0.3 * HEIGHT))
    np.testing.assert_allclose(own.scores[0, 1], falls * own.scores[0, 0], rtol=1e-5)
    np.testing.assert_allclose(shared.scores[0, 1], own.scores[0, 0], rtol=1e-5)


def test_neighbours_within_a_window_are_one_person():
    joints = joints_around(np.random.default_rng(0), (12, 16), 3)
    for away, people in ((2, 1), (3, 2)):
        heads = heads_of([((12, 16), joints, 3.0, 6)])
        heads["center"][0, 12, 16 + away] = 2.9
        assert int((decode_several(heads, 4).centers[0] > 0.9).sum()) == people


def test_one_person_is_the_one_nearest_to_the_middle():
    rng = np.random.default_rng(0)
    near, far = joints_around(rng, (13, 15), 3), joints_around(rng, (4, 4), 3)
    heads = heads_of([((13, 15), near, 2.0, 6), ((4, 4), far, 3.0, 6)])
    keypoints, scores = decode_one(heads)
    np.testing.assert_allclose(keypoints[0], 4 * (near[:, ::-1] + 0.25), atol=1e-4)
    np.testing.assert_allclose(scores[0], jax.nn.sigmoid(2.0), atol=1e-6)


def test_images_of_a_batch_are_decoded_alone():
    rng = np.random.default_rng(0)
    single = [heads_of([((10, 10 + i), joints_around(rng, (10, 10 + i)), 2.0 + i, 6)]) for i in range(3)]
    together = {name: np.concatenate([heads[name] for heads in single]) for name in single[0]}
    for decode in (decode_one, lambda h: decode_several(h, 4)):
        every = decode(together)
        for i, heads in enumerate(single):
            one = decode(heads)
            for a, b in zip(jax.tree.leaves(every), jax.tree.leaves(one), strict=True):
                np.testing.assert_allclose(a[i], b[0], atol=1e-5)
