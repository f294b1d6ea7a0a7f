"""Schedules and frozen parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.train.optimizers import create_optimizer, learning_rate_schedule


def test_step_schedule_is_the_papers():
    schedule = learning_rate_schedule("step", 1e-4, 200, boundaries=(50, 100, 150))
    rates = [float(schedule(step)) for step in (0, 49, 51, 101, 151)]
    np.testing.assert_allclose(rates, [1e-4, 1e-4, 1e-5, 1e-6, 1e-7], rtol=1e-5)


def test_step_boundaries_count_from_the_first_step_also_with_warmup():
    schedule = learning_rate_schedule("step", 1.0, 100, warmup_steps=10, boundaries=(50,))
    assert float(schedule(48)) == pytest.approx(1.0)
    assert float(schedule(51)) == pytest.approx(0.1)


def test_stable_runs_of_different_length_share_their_beginning():
    short = learning_rate_schedule("stable", 1.0, 100, warmup_steps=10, decay_steps=30)
    long = learning_rate_schedule("stable", 1.0, 150, warmup_steps=10, decay_steps=30)
    for step in range(70):
        assert float(short(step)) == float(long(step))
    assert float(short(69)) == pytest.approx(1.0)
    assert float(short(100)) == pytest.approx(0.0, abs=1e-6)
    assert float(long(119)) == pytest.approx(1.0)
    assert float(long(150)) == pytest.approx(0.0, abs=1e-6)


def test_cosine_ends_at_zero_after_its_warmup():
    schedule = learning_rate_schedule("cosine", 2.0, 100, warmup_steps=20)
    assert float(schedule(0)) < 0.2
    assert float(schedule(20)) == pytest.approx(2.0)
    assert float(schedule(60)) == pytest.approx(1.0, abs=1e-5)
    assert float(schedule(100)) == pytest.approx(0.0, abs=1e-6)


def test_unknown_names_are_named():
    with pytest.raises(InputError, match="schedule='poly'"):
        learning_rate_schedule("poly", 1.0, 10)
    with pytest.raises(InputError, match="name='sgd'"):
        create_optimizer("sgd", lambda step: 1.0)


def test_frozen_parameters_do_not_move_and_have_no_moments():
    params = {"backbone": {"kernel": jnp.ones((3,))}, "backbone_like": jnp.ones((2,)), "head": jnp.ones((2,))}
    optimizer = create_optimizer("adamw", lambda step: 0.1, weight_decay=0.5, frozen=("backbone/",))
    state = optimizer.init(params)
    assert not any(x.shape == (3,) for x in jax.tree.leaves(state))
    gradients = jax.tree.map(jnp.ones_like, params)
    updates, _ = optimizer.update(gradients, state, params)
    assert not np.any(updates["backbone"]["kernel"])
    assert np.all(np.asarray(updates["head"]) < 0)
    assert np.all(np.asarray(updates["backbone_like"]) < 0)


def test_clipping_bounds_the_gradient_that_adam_sees():
    params = {"a": jnp.zeros((4,))}
    gradients = {"a": jnp.full((4,), 100.0)}
    optimizer = create_optimizer("adam", lambda step: 1.0, clip_norm=1.0)
    _, state = optimizer.update(gradients, optimizer.init(params), params)
    first_moment = [x for x in jax.tree.leaves(state) if x.shape == (4,)][0]
    np.testing.assert_allclose(first_moment, 0.1 * 0.5, rtol=1e-5)
