"""The contract of the deformable convolution, for every implementation that this machine can run."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.ops.deform_conv import IMPLEMENTATIONS, modulated_deform_conv2d

CASES = ["plain", "jmpose_like", "dilation3", "stride2_groups2", "integer_offsets", "far_out_of_range",
         "no_mask_no_bias", "border_fractions"]  # fmt: skip


def _golden(shared, case):
    """Arrays of a golden case in this library's layout, its options and its tolerances."""
    path = shared / "golden" / "public"
    meta = json.loads((path / "dcn_v2.json").read_text())
    with np.load(path / "dcn_v2.npz") as z:
        a = {k.split("/")[1]: z[k] for k in z.files if k.startswith(case + "/")}
    c = meta["cases"][case]
    taps = c["k"] ** 2

    def offsets(v):  # [B, G*taps*2, Ho, Wo] -> [B, Ho, Wo, G, taps, 2]
        return np.moveaxis(v.reshape(v.shape[0], c["G"], taps, 2, *v.shape[2:]), (4, 5), (1, 2))

    def masks(v):
        return np.moveaxis(v.reshape(v.shape[0], c["G"], taps, *v.shape[2:]), (3, 4), (1, 2))

    def maps(v):
        return v.transpose(0, 2, 3, 1)

    layout = {"x": maps, "offset": offsets, "mask": masks, "weight": lambda v: v.transpose(2, 3, 1, 0), "bias": np.copy}
    names = [n for n in ("x", "offset", "mask", "weight", "bias") if f"in_{n}" in a]
    inputs = {n: jnp.asarray(layout[n](a[f"in_{n}"])) for n in names}
    gradients = {n: layout[n](a[f"g{n}"]) for n in names}
    tolerance = {k.split("/")[1]: v["tol_abs"] for k, v in meta["outputs"].items() if k.startswith(case + "/")}
    options = {"stride": c["s"], "padding": c["p"], "dilation": c["d"]}
    return inputs, maps(a["y"]), maps(a["in_grad_out"]), gradients, options, tolerance


def _eager(inputs, **options):
    return modulated_deform_conv2d(
        inputs["x"], inputs["offset"], inputs.get("mask"), inputs["weight"], inputs.get("bias"), **options
    )


_apply = jax.jit(_eager, static_argnames=("stride", "padding", "dilation", "implementation"))


@pytest.mark.parametrize("implementation", sorted(IMPLEMENTATIONS))
@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_equal_the_float64_golden(shared, case, implementation):
    inputs, y, grad_out, gradients, options, tolerance = _golden(shared, case)
    options["implementation"] = implementation

    @jax.jit
    def values_and_gradients(inputs, grad_out):
        out, vjp = jax.vjp(lambda i: _eager(i, **options), inputs)
        return out, vjp(grad_out)[0]

    out, computed = values_and_gradients(inputs, jnp.asarray(grad_out))
    np.testing.assert_allclose(out, y, rtol=0, atol=tolerance["y"])
    for name, value in computed.items():
        np.testing.assert_allclose(value, gradients[name], rtol=0, atol=tolerance[f"g{name}"], err_msg=name)


def _random(seed=0, batch=2, size=(6, 5), channels=4, groups=2, out=3, scale=1.5):
    rng = np.random.default_rng(seed)
    arrays = {
        "x": rng.normal(size=(batch, *size, channels)),
        "offset": scale * rng.normal(size=(batch, *size, groups, 9, 2)),
        "mask": rng.uniform(size=(batch, *size, groups, 9)),
        "weight": rng.normal(size=(3, 3, channels, out)),
    }
    return {name: jnp.asarray(array, jnp.float32) for name, array in arrays.items()}


@pytest.mark.parametrize("dilation", [1, 3])
def test_zero_offsets_are_an_ordinary_convolution(dilation):
    inputs = _random() | {"mask": None}
    inputs["offset"] = jnp.zeros_like(inputs["offset"])
    out = _apply(inputs, padding=dilation, dilation=dilation)
    convolution = functools.partial(
        jax.lax.conv_general_dilated,
        window_strides=(1, 1),
        padding=[(dilation, dilation)] * 2,
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    plain = jax.jit(convolution)(inputs["x"], inputs["weight"])
    np.testing.assert_allclose(out, plain, atol=1e-5)


def test_offset_gradient_is_alive_at_zero_offsets():
    """A zero-initialised offset branch must be able to leave zero."""
    inputs = _random()
    inputs["offset"] = jnp.zeros_like(inputs["offset"])
    gradient = jax.jit(jax.grad(lambda o: jnp.sum(_eager(inputs | {"offset": o}) ** 2)))(inputs["offset"])
    assert float(jnp.mean(jnp.abs(gradient) > 0)) > 0.5


def test_transformations_give_the_same_numbers():
    inputs = _random()
    plain = _apply(inputs)
    np.testing.assert_allclose(_eager(inputs), plain, atol=1e-5)
    np.testing.assert_allclose(jax.checkpoint(_apply)(inputs), plain, atol=1e-5)
    stacked = jax.tree.map(lambda a: jnp.stack([a, a * 0.5]), inputs)
    np.testing.assert_allclose(jax.vmap(_apply)(stacked)[0], plain, atol=1e-5)


def test_bfloat16_keeps_its_dtype_and_sums_in_float32():
    inputs = _random()
    low = inputs | {"x": inputs["x"].astype(jnp.bfloat16), "weight": inputs["weight"].astype(jnp.bfloat16)}
    out = _apply(low)
    assert out.dtype == jnp.bfloat16
    np.testing.assert_allclose(out.astype(jnp.float32), _apply(inputs), atol=0.15)


def test_empty_batch():
    inputs = jax.tree.map(lambda a: a[:0] if a.ndim > 4 or a.shape[0] == 2 else a, _random())
    assert _apply(inputs).shape == (0, 6, 5, 3)


def test_far_offsets_read_zero_and_stay_finite():
    inputs = _random()
    inputs["offset"] = inputs["offset"] * 1e6
    value, gradient = jax.jit(jax.value_and_grad(lambda i: jnp.sum(_eager(i) ** 2)))(inputs)
    assert value == 0 and all(bool(jnp.isfinite(g).all()) for g in jax.tree.leaves(gradient))


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"offset": jnp.zeros((2, 6, 5, 3, 9, 2))}, "offset"),
        ({"mask": jnp.zeros((2, 6, 5, 2, 8))}, "mask"),
        ({"weight": jnp.zeros((3, 3, 3, 3))}, "kernel"),
        ({"bias": jnp.zeros((4,))}, "bias"),
        ({"x": jnp.zeros((6, 5, 4))}, "x"),
    ],
)
def test_misshapen_arrays_are_named(change, names):
    with pytest.raises(InputError, match=names):
        _apply(_random() | change)


def test_unknown_implementation_is_named():
    with pytest.raises(InputError, match="cuda_magic"):
        _apply(_random(), implementation="cuda_magic")
