"""Schedules and frozen parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.train.optimizers import Optimizer, Schedule


def test_step_schedule_is_the_papers():
    schedule = Schedule("step", 1e-4, boundaries=(50, 100, 150)).create(200)
    rates = [float(schedule(step)) for step in (0, 49, 51, 101, 151)]
    np.testing.assert_allclose(rates, [1e-4, 1e-4, 1e-5, 1e-6, 1e-7], rtol=1e-5)


def test_step_boundaries_count_from_the_first_step_also_with_warmup():
    schedule = Schedule("step", 1.0, warmup_steps=10, boundaries=(50,)).create(100)
    assert float(schedule(48)) == pytest.approx(1.0)
    assert float(schedule(51)) == pytest.approx(0.1)


def test_stable_runs_of_different_length_share_their_beginning():
    short = Schedule("stable", 1.0, warmup_steps=10, decay_steps=30).create(100)
    long = Schedule("stable", 1.0, warmup_steps=10, decay_steps=30).create(150)
    for step in range(70):
        assert float(short(step)) == float(long(step))
    assert float(short(69)) == pytest.approx(1.0)
    assert float(short(100)) == pytest.approx(0.0, abs=1e-6)
    assert float(long(119)) == pytest.approx(1.0)
    assert float(long(150)) == pytest.approx(0.0, abs=1e-6)


def test_cosine_ends_at_zero_after_its_warmup():
    schedule = Schedule("cosine", 2.0, warmup_steps=20).create(100)
    assert float(schedule(0)) < 0.2
    assert float(schedule(20)) == pytest.approx(2.0)
    assert float(schedule(60)) == pytest.approx(1.0, abs=1e-5)
    assert float(schedule(100)) == pytest.approx(0.0, abs=1e-6)


def test_rates_rise_from_the_start_and_fall_to_the_end():
    schedule = Schedule("cosine", 1e-3, warmup_steps=9, warmup_start=1e-6, end_rate=1e-5).create(100)
    rates = np.asarray([schedule(step) for step in range(101)])
    assert 1e-6 < rates[0] < 1.02e-4 and rates[9] == pytest.approx(1e-3)
    np.testing.assert_allclose(np.diff(rates[:10]), (1e-3 - 1e-6) / 10, rtol=1e-3)
    assert rates[-1] == pytest.approx(1e-5) and (np.diff(rates[9:]) <= 0).all()
    stable = Schedule("stable", 1.0, decay_steps=10, end_rate=0.25).create(30)
    assert float(stable(20)) == 1.0 and float(stable(30)) == pytest.approx(0.25)
    for name in ("warmup_start", "end_rate"):
        with pytest.raises(InputError, match=f"{name}=2.0"):
            Schedule("cosine", 1.0, **{name: 2.0}).create(10)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_amsgrad_never_forgets_a_large_gradient(name):
    """After one large gradient and many small ones the steps stay short; without it they grow again."""
    moved = {}
    for amsgrad in (False, True):
        optimizer = Optimizer(name, amsgrad=amsgrad).create(lambda step: 0.1)
        params = jnp.ones(())
        state = optimizer.init(params)
        for gradient in (100.0, *[0.1] * 4000):
            update, state = jax.jit(optimizer.update)(jnp.float32(gradient), state, params)
        moved[amsgrad] = abs(float(update))
    assert moved[True] < 0.2 * moved[False]


def test_amsgrad_is_pytorchs():
    """torch.optim.AdamW(amsgrad=True) in NumPy; first gradients that are large tell it from optax's."""
    optimizer = Optimizer("adamw", weight_decay=0.01, amsgrad=True).create(lambda step: 0.1)
    params = jnp.asarray([1.0, -2.0])
    state, update = optimizer.init(params), jax.jit(optimizer.update)
    expected, mean, square, largest = np.asarray(params, np.float64), *np.zeros((3, 2))
    for t in range(1, 200):
        gradient = np.asarray([100.0, 0.5]) if t < 3 else np.sin(t * np.asarray([1.0, 2.0]))
        updates, state = update(jnp.asarray(gradient, jnp.float32), state, params)
        params = params + updates
        expected = expected * (1 - 0.1 * 0.01)
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        largest = np.maximum(largest, square)
        root = np.sqrt(largest) / np.sqrt(1 - 0.999**t)
        expected = expected - 0.1 / (1 - 0.9**t) * mean / (root + 1e-8)
    np.testing.assert_allclose(params, expected, rtol=1e-4)


def test_decay_shrinks_what_has_no_gradient():
    for amsgrad in (False, True):
        optimizer = Optimizer("adamw", weight_decay=0.5, amsgrad=amsgrad).create(lambda step: 0.1)
        params = jnp.full((2,), 3.0)
        update, _ = optimizer.update(jnp.zeros(2), optimizer.init(params), params)
        np.testing.assert_allclose(update, -0.1 * 0.5 * params, rtol=1e-6)


def test_unknown_names_are_named():
    with pytest.raises(InputError, match="schedule='poly'"):
        Schedule("poly", 1.0).create(10)
    with pytest.raises(InputError, match="name='sgd'"):
        Optimizer("sgd").create(lambda step: 1.0)


def test_frozen_parameters_do_not_move_and_have_no_moments():
    params = {"backbone": {"kernel": jnp.ones((3,))}, "backbone_like": jnp.ones((2,)), "head": jnp.ones((2,))}
    optimizer = Optimizer("adamw", weight_decay=0.5, frozen=("backbone/",)).create(lambda step: 0.1)
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
    optimizer = Optimizer("adam", clip_norm=1.0).create(lambda step: 1.0)
    _, state = optimizer.update(gradients, optimizer.init(params), params)
    first_moment = [x for x in jax.tree.leaves(state) if x.shape == (4,)][0]
    np.testing.assert_allclose(first_moment, 0.1 * 0.5, rtol=1e-5)
