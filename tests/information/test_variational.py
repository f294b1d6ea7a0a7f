"""Variational self-distillation and its relatives against the goldens: the paper's formulas and the public form."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax import information

vsd, vml = (jax.jit(f, static_argnames=("axis", "temperature")) for f in (information.vsd, information.vml))
vcd, vsd_public = information.vcd, information.vsd_public


@pytest.fixture(scope="module")
def numbers(shared):
    folder = shared / "golden" / "public"
    with np.load(folder / "mi_vsd_losses.npz") as z:
        values = {k: z[k] for k in z.files}
    return values, json.loads((folder / "mi_vsd_losses.json").read_text())["outputs"]


def _logits(values, kind):
    return [jnp.asarray(values[f"in_{view}_{kind}"]) for view in ("i", "v")]


def _close(numbers, name, value):
    np.testing.assert_allclose(value, numbers[0][name], atol=numbers[1][name]["tol_abs"], rtol=0)


def test_the_papers_formulas(numbers):
    values, _ = numbers
    pairs = zip(_logits(values, "observation"), _logits(values, "representation"))
    _close(numbers, "vsd_kl_paper", sum(vsd(o, r).mean() for o, r in pairs))
    observations, representations = _logits(values, "ms_observation"), _logits(values, "ms_representation")
    _close(numbers, "vcd_kl_paper", vcd(observations, representations).mean())
    _close(numbers, "vml_js_paper", vml(*representations).mean())


def test_the_public_form(numbers):
    values, _ = numbers
    observations, representations = _logits(values, "observation"), _logits(values, "representation")
    _close(numbers, "vsd", sum(vsd_public(o, r) for o, r in zip(observations, representations)))
    gradient = jax.grad(lambda r: vsd_public(observations[0], r))(representations[0])
    _close(numbers, "g_vsd_i_representation", gradient)
    observations, representations = _logits(values, "ms_observation"), _logits(values, "ms_representation")
    crossed = [(observations[1], representations[0]), (observations[0], representations[1])]
    _close(numbers, "vcd", 0.5 * sum(vsd_public(o, r) for o, r in crossed))


def _strided(numbers, name, value):
    strides = numbers[1][name].get("strides", [1] * value.ndim)
    _close(numbers, name, value[tuple(slice(None, None, s) for s in strides)])


def test_the_public_form_on_maps(numbers):
    values, _ = numbers
    first, second, labels = (jnp.asarray(values[f"in_{n}"]).reshape(2, -1, 24 * 18) for n in ("F1", "F2", "Y"))
    options = dict(temperature=0.05)
    _close(numbers, "tdmi_ff_F1_F2", vsd_public(first, second, **options))
    _close(numbers, "fami_ff_F2_F1", vsd_public(second, first, **options))
    maps = (2, 48, 24, 18)
    gradient = jax.grad(lambda f: vsd_public(first, f, **options))(second)
    _strided(numbers, "tdmi_g_ff_F2", gradient.reshape(maps))
    free = jax.value_and_grad(lambda *f: vsd_public(*f, freeze_observation=False, **options), argnums=(0, 1))
    value, gradients = free(first, second)
    _close(numbers, "tdmi_ff_nofreeze", value)
    for name, gradient in zip(("tdmi_g_ffnf_F1", "tdmi_g_ffnf_F2"), gradients):
        _strided(numbers, name, gradient.reshape(maps))
    weight, bias = (jnp.asarray(values[f"in_final_layer_{n}"]) for n in ("weight", "bias"))
    logits = jnp.einsum("bcp,kc->bkp", first, weight[:, :, 0, 0], precision="highest") + bias[:, None]
    _close(numbers, "tdmi_fl_F1_Y", vsd_public(logits, labels, **options))


def test_observation_gets_no_gradient_and_divergences_have_the_right_sign():
    a, b = np.random.default_rng(0).normal(size=(2, 4, 9)).astype(np.float32)
    assert not jax.jit(jax.grad(lambda o: vsd(o, b).sum()))(a).any()
    assert (vsd(a, b) > 0).all() and (vml(a, b) > 0).all() and (vml(a, b) < np.log(2)).all()
    np.testing.assert_allclose(vsd(a, a + 3.0), 0, atol=1e-6)
    np.testing.assert_allclose(vml(a, a), 0, atol=1e-6)
    apart = 100 * np.eye(9, dtype=np.float32)[:2]
    np.testing.assert_allclose(vml(apart[0], apart[1]), np.log(2), rtol=1e-5)


def test_the_axis_and_temperature_are_respected():
    a, b = np.random.default_rng(1).normal(size=(2, 3, 5, 4)).astype(np.float32)
    np.testing.assert_allclose(vsd(a, b, axis=1), vsd(a.swapaxes(1, 2), b.swapaxes(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(vsd(a, b, temperature=0.5), vsd(2 * a, 2 * b), rtol=1e-5)
