"""L_info of TIPSD: each quantity moves with its gamma, small features escape none, gradients go where they may."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.information.part_objective import part_term_scales, part_terms
from jmpose_jax.information.part_predictors import PART_TERMS, PartPredictors, resolve_part_estimators

CLIPS, SIZE, JOINTS, CHANNELS = 4, 8, 4, 3
GROUPS = ((0, 1), (2, 3))
VALID = np.ones(CLIPS, np.float32)
LABELLED = np.ones((CLIPS, JOINTS), np.float32)


def _blobs(rng, count):
    """Maps [B, h, w, count] with a peak each."""
    y, x = np.mgrid[:SIZE, :SIZE]
    cx, cy = rng.uniform(0, SIZE - 1, (2, CLIPS, 1, 1, count))
    return np.exp(-0.5 * (np.square(x[..., None] - cx) + np.square(y[..., None] - cy))).astype(np.float32)


@pytest.fixture(scope="module")
def world():
    """Labels, the key frame's features, and sources of which the groups' features are mixtures."""
    rng = np.random.default_rng(0)
    labels, key, noise = _blobs(rng, JOINTS), _blobs(rng, CHANNELS), _blobs(rng, 4)
    return labels, key, np.concatenate([labels, key, noise], -1)


@pytest.fixture(scope="module")
def trained(world):
    """The mixtures and terms at the start and after training on one term alone, the predictors being fitted."""
    labels, key, sources = world
    module = PartPredictors(GROUPS)
    rng = np.random.default_rng(1)
    mixture = 0.5 * rng.normal(size=(len(GROUPS), sources.shape[-1], CHANNELS)).astype(np.float32)
    mixture[1] = 0.5 * (mixture[0] + mixture[1])  # the groups begin alike
    shapes = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((2, *key.shape)), key)
    fresh = jax.tree.map(lambda x: np.zeros(x.shape, np.float32), shapes)
    optimizer = optax.adam(0.03)

    def terms_of(params):
        parts = jnp.einsum("bhws,gsc->gbhwc", sources, params["mixture"])
        predictions = module.apply(params["predictors"], parts, key)
        return part_terms(parts, key, predictions, labels, labels, LABELLED, VALID)

    def objective(params, weights):
        terms = terms_of(params)
        return jnp.sum(weights * jnp.stack([terms[name] for name in PART_TERMS])) + terms["predictor_fit"], terms

    def train(weights):
        def step(carry, _):
            params, state = carry
            gradient, terms = jax.grad(objective, has_aux=True)(params, weights)
            updates, state = optimizer.update(gradient, state)
            return (optax.apply_updates(params, updates), state), terms

        params = {"mixture": mixture, "predictors": fresh}
        (params, _), terms = jax.lax.scan(step, (params, optimizer.init(params)), None, length=120)
        return params["mixture"], {name: values[-1] for name, values in terms.items()}

    runs = np.concatenate([np.zeros((1, 3)), np.eye(3)]).astype(np.float32)
    mixtures, terms = jax.jit(lambda weights: jax.lax.map(train, weights))(runs)
    named = zip(("none", *PART_TERMS), range(4))
    return {name: (np.asarray(mixtures[i]), {k: float(v[i]) for k, v in terms.items()}) for name, i in named}


def _known(world, mixture):
    """The share of the variance of each group's labels that a linear map of its features explains."""
    labels, _, sources = world
    found = []
    for group, mixed in zip(GROUPS, mixture):
        x = (sources @ mixed).reshape(-1, CHANNELS)
        x, y = np.concatenate([x, np.ones((len(x), 1))], -1), labels[..., list(group)].reshape(-1, len(group))
        found.append(1 - np.square(y - x @ np.linalg.lstsq(x, y, rcond=None)[0]).sum() / np.square(y - y.mean(0)).sum())
    return np.mean(found)


def _alike(first, second):
    """Mean absolute correlation of two features' channels over pixels."""
    first, second = ((z - z.mean((1, 2), keepdims=True)).reshape(CLIPS, -1, CHANNELS) for z in (first, second))
    scale = np.sqrt((first**2).sum(1) * (second**2).sum(1))
    return ((first * second).sum(1) / scale).mean()


def test_each_quantity_moves_with_its_gamma(world, trained):
    """The term itself, and what it stands for measured by something else."""
    _, key, sources = world
    start = trained["none"]
    for term in PART_TERMS:
        assert trained[term][1][term] < 0.97 * start[1][term], term
    assert _known(world, trained["com"][0]) > _known(world, start[0]) + 0.05
    parts = {name: np.einsum("bhws,gsc->gbhwc", sources, mixture) for name, (mixture, _) in trained.items()}
    assert _alike(*parts["var"]) < _alike(*parts["none"]) - 0.2
    to_key = {name: np.mean([_alike(part, key) for part in parts[name]]) for name in ("none", "red")}
    assert to_key["red"] < to_key["none"] - 0.1


VARIANTS = {
    "default": ({}, "labels"),
    "conditional, hinge, club": (
        {"complementary": "conditional", "estimators": {"com": "vsd", "var": "hinge", "red": "club"}},
        "output",
    ),
    "groups teach": ({"estimators": {"com": "vml_js", "var": "vml_kl", "red": "vml_kl"}}, "groups"),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_scale_gradients_and_padding(world, name):
    """Of every variant: smaller features change no term; teachers, padding and unlabelled joints get no gradient."""
    labels, key, sources = world
    options, teacher = VARIANTS[name]
    module = PartPredictors(GROUPS, kernel_init="fan_in", **options)
    rng = np.random.default_rng(2)
    parts = rng.normal(size=(2, *key.shape)).astype(np.float32)
    output = (labels + 0.1 * rng.normal(size=labels.shape)).astype(np.float32)
    labelled, valid = LABELLED.copy(), VALID.copy()
    labelled[:, 1], valid[-1] = 0, 0

    def run(params, parts, key, output, labels):
        predictions = module.apply(params, parts, key)
        found = part_terms(parts, key, predictions, labels, output, labelled, valid, teacher=teacher)
        return jnp.stack([found[t] for t in (*PART_TERMS, "predictor_fit")])

    # Small kernels: the conditional form ends where its divergence is the greatest that counts.
    params = jax.tree.map(lambda x: 0.1 * x, jax.jit(module.init)(jax.random.key(0), parts, key))

    @jax.jit
    def both(params, parts, key, output, labels):
        arguments = (params, parts, key, output, labels)
        return run(*arguments), jax.jacrev(run, (0, 1, 2, 3, 4))(*arguments)

    values, (to_params, to_parts, to_key, to_output, to_labels) = both(params, parts, key, output, labels)
    assert np.isfinite(values).all()
    np.testing.assert_allclose(both(params, 0.01 * parts, key, output, labels)[0], values, rtol=2e-3, atol=1e-4)

    def size(tree, term):
        return sum(float(jnp.abs(leaf[term]).sum()) for leaf in jax.tree.leaves(tree))

    assert size(to_key, slice(None)) == size(to_labels, slice(None)) == 0
    assert size(to_params, slice(0, 3)) == 0 and size(to_params, 3) > 0  # predictors learn from their own loss alone
    assert size(to_parts, 3) == 0 and size(to_parts, 1) > 0 and size(to_parts, 2) > 0
    taught, other = (to_output, to_parts) if teacher == "groups" else (to_parts, to_output)
    assert size(taught, 0) > 0 and size(other, 0) == 0
    assert float(jnp.abs(to_parts[:, :, -1]).sum()) == 0 and float(jnp.abs(to_output[:, -1]).sum()) == 0
    assert float(jnp.abs(to_output[..., 1]).sum()) == 0  # joint 1 is labelled nowhere
    scales = part_term_scales(
        "heatmap_loss", module.apply(params, parts, key), pixels=SIZE**2, samples=8, empty_loss=0.3
    )
    assert all(0 < scales[term] < 0.3 for term in PART_TERMS)


def test_what_no_term_has_is_named():
    for options, message in [({"comp": "vsd"}, "'comp' is no information term"), ({"var": "club"}, "var='club'")]:
        with pytest.raises(InputError, match=message):
            resolve_part_estimators(options)
    shapes = jnp.zeros((2, 1, 4, 4, 2)), jnp.zeros((1, 4, 4, 2))
    with pytest.raises(InputError, match="predictors.complementary='no'"):
        PartPredictors(GROUPS, complementary="no").init(jax.random.key(0), *shapes)
