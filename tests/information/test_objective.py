"""The orthogonality objective: the identity behind it, its signs, and where its gradients go."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax.information import TERMS, InformationPredictors, orthogonality_terms

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
    module = InformationPredictors(JOINTS)
    return module, jax.jit(module.init)(jax.random.key(0), joint, motion), joint, motion, aggregated


def _terms(layer):
    module, *arrays = layer
    return jax.jit(_compute, static_argnums=0)(module, *arrays)


def _compute(module, variables, joint, motion, aggregated):
    return orthogonality_terms(joint, motion, module.apply(variables, joint, motion), aggregated)


def test_terms_are_nonnegative_means_over_pixels(layer):
    terms = _terms(layer)
    assert set(terms) == set(TERMS)
    assert all(value.shape == (2,) and (value >= 0).all() for value in terms.values())
    assert (terms["relevancy"] <= np.log(2) / 30).all()


def test_gradients_reach_what_they_should_and_nothing_else(layer):
    module, variables, *maps = layer

    @jax.jit
    def jacobian(*arrays):
        def means(*arrays):
            return {name: value.mean() for name, value in _compute(module, *arrays).items()}

        return jax.jacrev(means, argnums=(0, 1, 2, 3))(*arrays)

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
    np.testing.assert_allclose(same, np.log(2) / 30, rtol=1e-5)
    np.testing.assert_allclose(apart, 0, atol=1e-6)


def test_complement_vanishes_for_the_heatmaps_themselves_and_redundancy_without_joint_information(layer):
    module, variables, joint, motion, aggregated = layer
    predictions = module.apply(variables, joint, motion)
    terms = predictions.terms.replace(joint=aggregated, both=predictions.terms.motion)
    values = jax.jit(orthogonality_terms)(joint, motion, predictions.replace(terms=terms), aggregated)
    np.testing.assert_allclose(values["complement"], 0, atol=1e-6)
    np.testing.assert_allclose(values["redundancy"], 0, atol=1e-6)
