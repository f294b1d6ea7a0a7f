"""Rotations scored as joints of a body in millimetres."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import hanet
from experiments.evaluation import kinematics
from experiments.evaluation.body import BATCH, BodyJoints
from experiments.run import sequences
from jmpose_jax.body_model.files import read_body_model
from jmpose_jax.body_model.rotations import from_axis_angle, to_six
from jmpose_jax.body_model.skinning import pose_body
from jmpose_jax.errors import InputError
from jmpose_jax.metrics.pose_sequences import COLUMNS
from tests.body_model.conftest import body_arrays
from tests.data_pipeline.sequences.layouts import write

PARENTS = (-1, 0, 0, 0, *range(1, 21))  # of 24 joints


@pytest.fixture(scope="module")
def body_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("body") / "body.npz"
    np.savez(path, **body_arrays(PARENTS))
    return path


def test_joints_of_the_posed_mesh(body_file):
    vectors = np.random.default_rng(1).normal(0, 0.4, (BATCH + 3, 24, 3)).astype(np.float32)
    matrices = jax.jit(from_axis_angle)(vectors)
    six = np.array(to_six(matrices))
    six[5, 7, 2] = np.nan
    (found,) = BodyJoints(body_file, 24)([six])
    body = read_body_model(body_file)
    vertices, _ = jax.jit(pose_body)(body, matrices)
    expected = np.einsum("jv,tvd->tjd", body.joint_regressor, vertices)
    expected[5] = np.nan
    np.testing.assert_allclose(found, expected, atol=1e-5)
    with pytest.raises(InputError, match="24 joints, the data 14 rotations"):
        BodyJoints(body_file, 14)


def test_figures_in_millimetres(body_file, tmp_path):
    write(tmp_path, "pw3d", "test", (60, 55))
    config = hanet.get_config("smpl,smoothnet")
    config.dataset.root, config.dataset.estimates = str(tmp_path), "est"
    split, body = sequences.evaluated(config), BodyJoints(body_file, 24)
    perfect = kinematics.score(split, [sequence.target for sequence in split.data.sequences], body)
    assert kinematics.columns(perfect, split, body)["MPJPE"] == 0
    turned = [sequence.target.copy() for sequence in split.data.sequences]
    for six in turned:
        six[:, 20] = to_six(jnp.eye(3))  # one joint
    found = kinematics.columns(kinematics.score(split, turned, body), split, body)
    joints = [np.stack(body(each)) for each in ([turned[0]], [split.data.sequences[0].target])]
    away = [each - each[:, :, :1] for each in joints]
    apart = np.linalg.norm(away[0] - away[1], axis=-1)
    other = [np.stack(body(each)) for each in ([turned[1]], [split.data.sequences[1].target])]
    other = np.linalg.norm(other[0] - other[0][:, :, :1] - other[1] + other[1][:, :, :1], axis=-1)
    assert found["MPJPE"] == pytest.approx(1000 * np.concatenate([apart.ravel(), other.ravel()]).mean(), rel=1e-5)
    assert np.isfinite([found[column] for column in COLUMNS]).all()
    windows = np.stack([split.window(row).poses.reshape(config.dataset.window, -1) for row in range(len(split))])
    result = kinematics._result(config, split, windows, "the model", body)
    assert result["unit"] == "mm" and result["mpjpe"]["smoothnet"]["MPJPE"] == pytest.approx(
        result["mpjpe"]["input"]["MPJPE"], abs=1e-2
    )
