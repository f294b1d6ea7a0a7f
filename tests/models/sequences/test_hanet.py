"""What HANet's options change."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.models.sequences.hanet import HANet

POSES = np.random.default_rng(0).standard_normal((3, 7, 4)).astype(np.float32)
SMALL = dict(channels=4, width=8, interval=3, encoder_layers=2, decoder_layers=1, dropout=0.0)


def width_of(random_variables, **options):
    params = random_variables(HANet(**SMALL, **options), POSES)["params"]
    return params["encoder_embed"]["kernel"].shape[0], params["motion_embed"]["kernel"].shape[0] - 8, params


@pytest.mark.parametrize(
    ("options", "tokens", "motion"),
    [
        ({}, 16, 12),
        ({"acceleration": False}, 16, 8),
        ({"velocity": False}, 16, 4),
        ({"velocity": False, "acceleration": False}, 16, 0),
        ({"flow": False, "velocity": False, "acceleration": False}, 4, 0),
    ],
)
def test_the_rows_of_table_1(random_variables, options, tokens, motion):
    found = width_of(random_variables, **options)
    assert found[:2] == (tokens, motion)
    assert ("kinematics" in found[2]) == (motion > 0)


def test_without_weights_and_biases_there_are_none(random_variables):
    assert "kinematics" not in width_of(random_variables, weight_bias=False)[2]


def test_unseen_frames_are_read_beside_seen_ones_alone(random_variables):
    model = HANet(**SMALL)  # frames 0, 3 and 6 are seen, 1, 2, 4 and 5 lie beside them
    far = HANet(**SMALL | {"interval": 6})  # 0 and 6 are seen; nobody reads 2, 3 and 4
    for made, unread in ((model, []), (far, [2, 3, 4])):
        variables = random_variables(made, POSES)
        run = jax.jit(made.apply)
        before = run(variables, POSES).poses
        for frame in range(7):
            changed = POSES.copy()
            changed[:, frame] += 1
            same = np.array_equal(run(variables, changed).poses, before)
            assert same == (frame in unread), frame


@pytest.mark.parametrize(("masking", "frames"), [("frame", 7), ("sequence", 1)])
def test_one_keypoint_is_masked_while_training(random_variables, masking, frames):
    model = HANet(**SMALL, masking=masking)
    variables = random_variables(model, POSES)
    keys = {"masking": jax.random.key(3), "dropout": jax.random.key(0)}
    kept = np.asarray(model.apply(variables, jnp.ones((64, 7, 4)), rngs=keys, method=HANet._kept))
    pairs = kept.reshape(64, 7, 2, 2)
    assert (pairs[..., 0] == pairs[..., 1]).all() and (pairs[..., 0].sum(-1) == 1).all()
    drawn = pairs[..., 0, 0]
    assert 0.35 < drawn.mean() < 0.65
    assert (drawn == drawn[:, :1]).all() == (frames == 1)
    training = jax.jit(lambda: model.apply(variables, POSES, train=True, rngs=keys).poses)()
    apart, plain = (jax.jit(made.apply)(variables, POSES).poses for made in (model, model.clone(masking="none")))
    assert not np.array_equal(training, apart) and np.array_equal(apart, plain)


def test_a_share_of_the_frames_is_masked(random_variables):
    model = HANet(**SMALL, masking="frame", masking_rate=0.25)
    variables = random_variables(model, POSES)
    kept = model.apply(variables, jnp.ones((256, 7, 4)), rngs={"masking": jax.random.key(1)}, method=HANet._kept)
    assert np.asarray(kept).min(-1).mean() == pytest.approx(0.75, abs=0.04)


@pytest.mark.parametrize(
    ("options", "words"),
    [({"masking": "joint"}, "frame, sequence"), ({"key_padding": "int"}, "added"), ({"interval": 4}, "7 frames")],
)
def test_input_at_fault_is_named(options, words):
    model = HANet(**SMALL | options)
    with pytest.raises(InputError, match=words):
        jax.eval_shape(lambda key: model.init(key, POSES), jax.random.key(0))


def test_dropout_is_drawn_while_training_alone(random_variables):
    model = HANet(**SMALL | {"dropout": 0.5})
    variables = random_variables(model, POSES)

    def run(key, train):
        return model.apply(variables, POSES, train=train, rngs={"dropout": key}).poses

    run = jax.jit(run, static_argnames="train")
    assert not np.array_equal(*(run(jax.random.key(k), train=True) for k in (0, 1)))
    assert np.array_equal(*(run(jax.random.key(k), train=False) for k in (0, 1)))
