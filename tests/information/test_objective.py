"""The orthogonality objective: the identity behind it, its signs, and where its gradients go."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.core import FrozenDict

from jmpose_jax.errors import InputError
from jmpose_jax.information import (
    DEFAULT_ESTIMATORS,
    ESTIMATORS,
    INFORMATION_TERMS,
    TERMS,
    InformationPredictors,
    empty_heatmap_loss,
    orthogonality_terms,
    resolve_estimators,
    term_scales,
)
from jmpose_jax.information.variational import kl
from jmpose_jax.losses import JMPoseObjective
from jmpose_jax.ops.heatmaps import encode

SHAPE, JOINTS = (2, 6, 5, 4), 3


def _information(table, *axes):
    """I between groups of axes of a discrete joint distribution, given the last group: I(a; b | c), or I(a; b)."""

    def entropy(*keep):
        keep = {axis for group in keep for axis in group}
        p = table.sum(tuple(a for a in range(table.ndim) if a not in keep)).ravel()
        p = p[p > 0]
        return -(p * np.log(p)).sum()

    a, b, c = (*axes, ())[:3]
    return entropy(a, c) + entropy(b, c) - entropy(a, b, c) - entropy(c)


def test_equation_13_holds_for_any_discrete_distribution():
    rng = np.random.default_rng(0)
    for _ in range(20):
        table = rng.gamma(0.4, size=(3, 4, 5))  # axes M, J, H
        table /= table.sum()
        m, j, h = (0,), (1,), (2,)
        right = _information(table, m, j) - _information(table, j, h) + _information(table, h, j, m)
        np.testing.assert_allclose(_information(table, m, j, h), right, atol=1e-10)


@pytest.fixture(scope="module")
def layer():
    rng = np.random.default_rng(0)
    joint, motion = np.maximum(rng.normal(size=(2, *SHAPE)), 0).astype(np.float32)
    aggregated = rng.uniform(size=(*SHAPE[:3], JOINTS)).astype(np.float32)
    module = InformationPredictors(JOINTS, FrozenDict(DEFAULT_ESTIMATORS))
    return module, jax.jit(module.init)(jax.random.key(0), joint, motion), joint, motion, aggregated


def _terms(layer):
    module, *arrays = layer
    return jax.jit(_compute, static_argnums=0)(module, *arrays)


def _compute(module, variables, joint, motion, aggregated):
    return orthogonality_terms(joint, motion, module.apply(variables, joint, motion), aggregated)


def test_terms_are_nonnegative_nats(layer):
    terms = _terms(layer)
    assert set(terms) == set(TERMS)
    assert all(value.shape == () and value >= 0 for value in terms.values())
    assert terms["relevancy"] <= np.log(2)


def test_gradients_reach_what_they_should_and_nothing_else(layer):
    module, variables, *maps = layer

    @jax.jit
    def jacobian(*arrays):
        return jax.jacrev(functools.partial(_compute, module), argnums=(0, 1, 2, 3))(*arrays)

    for name, gradients in jacobian(variables, *maps).items():
        predictors, joint, motion, aggregated = (
            max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(g)) for g in gradients
        )
        assert aggregated == 0, name
        if name == "predictor_fit":
            assert predictors > 0 and joint == 0 and motion == 0
        else:
            assert predictors == 0 and joint > 0
            assert (motion > 0) == (name != "complement"), name


def test_relevancy_is_least_where_the_features_look_elsewhere(layer):
    module, variables, *_, aggregated = layer
    here, there = np.zeros((2, *SHAPE), np.float32)
    here[:, 1, 1], there[:, 4, 3] = 50.0, 50.0
    same = _terms((module, variables, here, here, aggregated))["relevancy"]
    apart = _terms((module, variables, here, there, aggregated))["relevancy"]
    np.testing.assert_allclose(same, np.log(2), rtol=1e-5)
    np.testing.assert_allclose(apart, 0, atol=3e-5)


def test_complement_vanishes_for_the_heatmaps_themselves_and_redundancy_without_joint_information(layer):
    module, variables, joint, motion, aggregated = layer
    predictions = module.apply(variables, joint, motion)
    terms = predictions.terms.replace(joint=aggregated, both=predictions.terms.motion)
    values = jax.jit(orthogonality_terms)(joint, motion, predictions.replace(terms=terms), aggregated)
    np.testing.assert_allclose(values["complement"], 0, atol=3e-5)
    np.testing.assert_allclose(values["redundancy"], 0, atol=3e-5)


# One of each kind; the values of all have tests of their own.
SELECTABLE = ("vcd", "vml_kl", "vsd_public", "club", "infonce")


def _fresh(module, *inputs):
    """Parameters with the statistics of a fresh start, drawn by NumPy: no initialiser is compiled."""
    rng = np.random.default_rng(0)

    def draw(x):
        scale = 0.0 if len(x.shape) < 2 else x.shape[0] ** -0.5
        return (scale * rng.normal(size=x.shape)).astype(np.float32)

    return jax.tree.map(draw, jax.eval_shape(module.init, jax.random.key(0), *inputs))


@pytest.fixture(scope="module")
def by_estimator(layer):
    """Terms and gradients with the same estimator in every term."""
    _, _, joint, motion, aggregated = layer
    valid = np.ones(2, np.float32)
    found = {}
    for name in SELECTABLE:
        chosen = dict.fromkeys(INFORMATION_TERMS, name)
        module = InformationPredictors(JOINTS, chosen)

        def total(variables, joint, motion, module=module, chosen=chosen):
            predictions = module.apply(variables, joint, motion)
            values = orthogonality_terms(joint, motion, predictions, aggregated, valid=valid)
            return sum(values[term] for term in INFORMATION_TERMS), values

        gradient = jax.jit(jax.grad(total, argnums=(0, 1, 2), has_aux=True))
        gradients, values = gradient(_fresh(module, joint, motion), joint, motion)
        found[name] = values, gradients
    return found


@pytest.mark.parametrize("name", SELECTABLE)
def test_any_estimator_serves_any_term(by_estimator, name):
    values, (params, joint, motion) = by_estimator[name]
    assert set(values) == set(TERMS) and all(np.isfinite(v) for v in values.values())
    assert np.any(joint) and np.any(motion)
    # The predictors and critics learn from their own fit, never from the objective.
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(params)) and jax.tree.leaves(params)


def test_cross_distillation_counts_both_directions_and_each_view_learns_from_the_other(by_estimator):
    """Its value is the symmetric KL's; one of the two gradients of each KL is kept."""
    (crossed, (_, joint, motion)), (both, (_, *gradients)) = by_estimator["vcd"], by_estimator["vml_kl"]
    np.testing.assert_allclose(crossed["relevancy"], both["relevancy"], rtol=1e-4)
    assert not np.allclose(joint, gradients[0]) and not np.allclose(motion, gradients[1])


def test_every_term_may_have_an_estimator_of_another_kind(layer):
    """And a term is what it is whatever the others are estimated with."""
    _, _, joint, motion, aggregated = layer

    @functools.partial(jax.jit, static_argnums=0)
    def terms(module, params):
        predictions = module.apply({"params": params}, joint, motion)
        return orthogonality_terms(joint, motion, predictions, aggregated)

    def made(chosen):
        module = InformationPredictors(JOINTS, FrozenDict(chosen))
        return module, _fresh(module, joint, motion)["params"]

    chosen = {"relevancy": "club", "complement": "vsd", "redundancy": "infonce"}
    module, params = made(chosen)
    mixed = terms(module, params)
    for term in ("relevancy", "redundancy"):
        alone, fresh = made(DEFAULT_ESTIMATORS | {term: chosen[term]})
        expected = terms(alone, fresh | {k: v for k, v in params.items() if k in fresh})
        for same in (term, "complement"):
            np.testing.assert_allclose(mixed[same], expected[same], rtol=1e-4, err_msg=same)


def test_alpha_one_starts_near_the_heatmap_loss_of_nothing(by_estimator):
    size = (32, 24)
    targets, _ = encode(np.full((1, 1, 2), 48.0, np.float32), np.ones((1, 1)), heatmap_size=size, sigma=2.0)
    empty = empty_heatmap_loss(2.0, 32 * 24)
    np.testing.assert_allclose(np.mean(np.square(targets)), empty, rtol=0.01)
    for name in SELECTABLE:
        chosen = dict.fromkeys(INFORMATION_TERMS, name)
        pixels, samples = SHAPE[1] * SHAPE[2], SHAPE[0] * JOINTS
        scales = term_scales("heatmap_loss", chosen, pixels=pixels, samples=samples, layers=1, empty_loss=1.0)
        values, _ = by_estimator[name]
        start = sum(float(values[term]) * scales[term] for term in INFORMATION_TERMS)
        assert 0.1 < abs(start) < 3, (name, start)


def test_predictors_that_know_nothing_start_within_what_there_is_to_know(layer):
    """Flat predictions: the redundancy is nothing, no term exceeds its reference, and the predictors can still learn.

    Random ones are confident: at the temperature of the heatmaps they start far beyond what there is to know.
    """
    _, _, joint, motion, aggregated = layer

    @functools.partial(jax.jit, static_argnums=0)
    def shares(module, variables):
        chosen = dict(module.estimators)
        scales = term_scales("heatmap_loss", chosen, pixels=30, samples=6, layers=1, empty_loss=1.0)
        values = orthogonality_terms(joint, motion, module.apply(variables, joint, motion), aggregated)
        return {term: 3 * values[term] * scales[term] for term in INFORMATION_TERMS}, values["predictor_fit"]

    found = {}
    for init in ("zeros", "fan_in"):
        module = InformationPredictors(JOINTS, FrozenDict(DEFAULT_ESTIMATORS), init)
        variables = jax.jit(module.init)(jax.random.key(0), joint, motion)
        found[init], _ = shares(module, variables)
        fitted = jax.grad(lambda v, module=module: shares(module, v)[1])(variables)
        assert all(np.any(leaf) for leaf in jax.tree.leaves(fitted)), init
    assert found["zeros"]["redundancy"] == 0 and 0 < found["zeros"]["complement"] < 1
    assert 0 < found["zeros"]["relevancy"] <= 1
    assert found["fan_in"]["redundancy"] > 1 or found["fan_in"]["complement"] > 1, found["fan_in"]


def test_weights_of_the_terms():
    weights = {"heatmap": 100.0, "relevancy": 2.0, "complement": 0.0, "redundancy": 0.0, "predictor_fit": 7.0}
    assert JMPoseObjective(alpha=0.5, weights=weights).term_weights() == weights | {"relevancy": 1.0}
    assert JMPoseObjective(alpha=0.5, normalization="heatmap_loss", weights=weights).term_weights() == weights | {
        "relevancy": 100.0
    }


def test_choices_that_cannot_be_are_refused():
    for chosen, message in (
        ({"relevance": "vsd"}, "estimators: 'relevance' is no information term"),
        ({"relevancy": "clubs"}, "'clubs' is unknown"),
    ):
        with pytest.raises(InputError, match=message):
            resolve_estimators(chosen)
    with pytest.raises(InputError, match="normalization='nats' is unknown"):
        term_scales("nats", None, pixels=4, samples=4, layers=1, empty_loss=1.0)


def test_equation_13_from_exact_predictors():
    """With exact predictors, the estimators on logits give the terms of Eq. 13 of a discrete world, to rounding."""
    table = np.random.default_rng(1).gamma(0.5, size=(3, 4, 5)) + 1e-4  # axes M, J, H
    table /= table.sum()
    m, j, h = (0,), (1,), (2,)
    weights = table.sum(2).ravel().astype(np.float32)  # p(m, j): one sample each

    def rows(p):
        return np.log(np.broadcast_to(p / p.sum(-1, keepdims=True), table.shape)).reshape(-1, 5).astype(np.float32)

    given_both, given_motion = rows(table), rows(table.sum(1, keepdims=True))
    given_joint, alone = rows(table.sum(0, keepdims=True)), rows(table.sum((0, 1), keepdims=True))
    vsd = ESTIMATORS["vsd"].function
    redundancy = vsd(given_both, given_motion, weights=weights).bound
    complement = np.sum(weights * kl(given_joint, alone))
    np.testing.assert_allclose(redundancy, _information(table, h, j, m), atol=1e-5)
    np.testing.assert_allclose(complement, _information(table, j, h), atol=1e-5)
    left = _information(table, m, j) - complement + redundancy
    np.testing.assert_allclose(left, _information(table, m, j, h), atol=1e-5)


def test_standardized_features_leave_no_way_out_by_shrinking():
    """Scale and offset of the features change nothing, and the gradient is at right angles to the features."""
    rng = np.random.default_rng(1)
    joint, motion = rng.normal(size=(2, *SHAPE)).astype(np.float32)
    aggregated = rng.uniform(size=(*SHAPE[:3], JOINTS)).astype(np.float32)
    module = InformationPredictors(JOINTS, FrozenDict(DEFAULT_ESTIMATORS), features="standardized")
    variables = jax.jit(module.init)(jax.random.key(0), joint, motion)

    @jax.jit
    def terms(joint, motion):
        found = orthogonality_terms(joint, motion, module.apply(variables, joint, motion), aggregated)
        return jnp.stack([found[name] for name in TERMS])

    expected = terms(joint, motion)
    assert np.all(expected > 1e-3)
    np.testing.assert_allclose(terms(joint * 0.1 + 3, motion * 20 - 1), expected, rtol=1e-4)
    gradient = jax.jit(jax.jacrev(lambda s: terms(joint * s, motion)))(jnp.float32(1))
    np.testing.assert_allclose(gradient, 0, atol=1e-4)
    with pytest.raises(InputError, match="features='whitened'"):
        InformationPredictors(JOINTS, features="whitened").apply(variables, joint, motion)
