"""Skinning: by the paper's equations in plain loops, and what must hold for any body."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from jmpose_jax.body_model.files import read_body_model
from jmpose_jax.body_model.rotations import from_six, to_six
from jmpose_jax.body_model.skinning import pose_body
from jmpose_jax.metrics.kinematics import mpjpe
from tests.body_model.conftest import PARENTS


def turns(*shape, seed=0):
    return Rotation.random(int(np.prod(shape)), random_state=seed).as_matrix().reshape(*shape, 3, 3).astype(np.float32)


def by_hand(arrays, rotations, shape):
    """The paper's equations with 4 × 4 matrices, one joint and one vertex at a time, in double precision."""
    rest = arrays["v_template"] + arrays["shapedirs"][..., : len(shape)] @ shape
    joints = arrays["J_regressor"] @ rest
    rest = rest + arrays["posedirs"] @ np.concatenate([(r - np.eye(3)).ravel() for r in rotations[1:]])
    world = []
    for j, parent in enumerate(PARENTS):
        local = np.eye(4)
        local[:3, :3], local[:3, 3] = rotations[j], joints[j] - (joints[parent] if j else 0)
        world.append(world[parent] @ local if j else local)
    vertices = []
    for v in range(len(rest)):
        blend = np.zeros((4, 4))
        for j in range(len(PARENTS)):
            undo = np.eye(4)
            undo[:3, 3] = -joints[j]
            blend += arrays["weights"][v, j] * world[j] @ undo
        vertices.append((blend @ np.append(rest[v], 1))[:3])
    return np.array(vertices), np.array([w[:3, 3] for w in world])


def test_the_papers_equations(body_file, arrays):
    model = read_body_model(body_file)
    rotations, shape = turns(2, 5), np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    vertices, joints = jax.jit(pose_body)(model, rotations, shape)
    for n in range(2):
        expected = by_hand(arrays, rotations[n].astype(float), shape[n].astype(float))
        np.testing.assert_allclose(vertices[n], expected[0], atol=1e-5)
        np.testing.assert_allclose(joints[n], expected[1], atol=1e-5)


def test_at_rest_the_mesh_is_the_template(body_file, arrays):
    vertices, joints = pose_body(read_body_model(body_file), jnp.tile(jnp.eye(3), (5, 1, 1)))
    np.testing.assert_allclose(vertices, arrays["v_template"], atol=1e-6)
    np.testing.assert_allclose(joints, arrays["J_regressor"] @ arrays["v_template"], atol=1e-6)


def test_the_roots_turn_and_a_translation_move_all(body_file):
    model = read_body_model(body_file)
    rotations, turn, move = turns(5), turns(1, seed=3)[0], np.array([1.0, -2, 3], np.float32)
    posed = jax.jit(pose_body)
    vertices, joints = posed(model, rotations)
    turned = rotations.copy()
    turned[0] = turn @ rotations[0]
    found, places = posed(model, turned, translation=move)
    root = joints[0]
    np.testing.assert_allclose(found, (vertices - root) @ turn.T + root + move, atol=1e-5)
    np.testing.assert_allclose(places, (joints - root) @ turn.T + root + move, atol=1e-5)


def test_sequences_of_six_numbers_end_in_an_error_in_metres(body_file):
    model = read_body_model(body_file)
    truth = turns(7, 5)
    six = to_six(jnp.asarray(truth))
    noisy = six + 0.05 * jax.random.normal(jax.random.key(0), six.shape)
    posed = jax.jit(lambda each: pose_body(model, from_six(each))[1])
    joints = [np.asarray(posed(each)) for each in (six, noisy)]
    same = np.asarray(pose_body(model, truth)[1])
    assert mpjpe(joints[0], same) < 1e-5 < 1e-3 < mpjpe(joints[1], same) < 0.5


def test_shapes_at_fault(body_file):
    model = read_body_model(body_file)
    with pytest.raises(ValueError, match="expected"):
        pose_body(model, turns(4))
    several = turns(6, 5)
    for shape in (np.zeros(9), np.zeros((4, 3)), 3.0, np.zeros((2, 6, 3))):
        with pytest.raises(ValueError, match="coefficients"):
            pose_body(model, several, shape)
    for translation in ([1.0], 1.0, np.zeros((6, 2)), np.zeros((5, 3)), np.zeros((2, 6, 3))):
        with pytest.raises(ValueError, match="translation"):
            pose_body(model, several, None, translation)
    with pytest.raises(ValueError, match="translation"):
        pose_body(model, turns(5), None, np.zeros((6, 3)))


def test_one_shape_and_translation_for_all_poses(body_file):
    model = read_body_model(body_file)
    several, shape, move = turns(2, 3, 5), np.ones(3, np.float32), np.array([1.0, 2, 3], np.float32)
    posed = jax.jit(pose_body)
    found, _ = posed(model, several, shape, move)
    same, _ = posed(model, several, np.tile(shape, (3, 1)), np.tile(move, (2, 1, 1)))
    assert found.shape == (2, 3, 40, 3)
    np.testing.assert_allclose(found, same, atol=1e-5)
