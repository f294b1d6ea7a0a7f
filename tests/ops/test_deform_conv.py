"""The contract of the deformable convolution, for every implementation; kernels run interpreted on the CPU."""

import functools
import json

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.ops.deform_conv import IMPLEMENTATIONS, modulated_deform_conv2d

RUN_HERE = ["xla", *sorted(name for name in IMPLEMENTATIONS if name.endswith("_interpret"))]
CASES = ["jmpose_like", "stride2_groups2", "border_fractions"]
MORE_CASES = ["plain", "dilation3", "integer_offsets", "far_out_of_range", "no_mask_no_bias"]
# An interpreted kernel is compiled once and runs for milliseconds.
COMPILES_FAST = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}

every_implementation = pytest.mark.parametrize("implementation", RUN_HERE)


def _golden(folder, case):
    """Arrays of a golden case in this library's layout, its options and its tolerances."""
    meta = json.loads((folder / "dcn_v2.json").read_text())
    with np.load(folder / "dcn_v2.npz") as z:
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
    names = [n for n in layout if f"in_{n}" in a]
    inputs = {n: jnp.asarray(layout[n](a[f"in_{n}"])) for n in names}
    gradients = {n: layout[n](a[f"g{n}"]) for n in names}
    tolerance = {k.split("/")[1]: v["tol_abs"] for k, v in meta["outputs"].items() if k.startswith(case + "/")}
    options = {"stride": c["s"], "padding": c["p"], "dilation": c["d"]}
    return inputs, maps(a["y"]), maps(a["in_grad_out"]), gradients, options, tolerance


def _eager(inputs, **options):
    return modulated_deform_conv2d(
        inputs["x"], inputs["offset"], inputs.get("mask"), inputs["weight"], inputs.get("bias"), **options
    )


@functools.cache
def _values_and_gradients(transform=lambda f: f, **options):
    """A jitted function of (inputs, gradient of the result) that returns the result and the gradients of the inputs."""

    def run(inputs, grad_out):
        out, vjp = jax.vjp(transform(functools.partial(_eager, **options)), inputs)
        return out, vjp(grad_out)[0]

    return jax.jit(run, compiler_options=COMPILES_FAST)


def _random(seed=0, batch=2, size=(6, 5), channels=4, groups=2, out=3, scale=1.5):
    rng = np.random.default_rng(seed)
    arrays = {
        "x": rng.normal(size=(batch, *size, channels)),
        "offset": scale * rng.normal(size=(batch, *size, groups, 9, 2)),
        "mask": rng.uniform(size=(batch, *size, groups, 9)),
        "weight": rng.normal(size=(3, 3, channels, out)),
    }
    return {name: jnp.asarray(array, jnp.float32) for name, array in arrays.items()}


def _grad_out(inputs, seed=1):
    shape = (*inputs["offset"].shape[:3], inputs["weight"].shape[-1])
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), inputs["x"].dtype)


def _assert_close(found, expected, atol):
    for (path, a), b in zip(jax.tree_util.tree_leaves_with_path(found), jax.tree.leaves(expected), strict=True):
        a, b = (np.asarray(v, np.float32) for v in (a, b))
        np.testing.assert_allclose(a, b, rtol=0, atol=atol, err_msg=jax.tree_util.keystr(path))


def _agrees_with_the_golden(folder, case, implementation):
    inputs, y, grad_out, gradients, options, tolerance = _golden(folder, case)
    run = _values_and_gradients(implementation=implementation, **options)
    out, computed = run(inputs, jnp.asarray(grad_out))
    np.testing.assert_allclose(out, y, rtol=0, atol=tolerance["y"])
    for name, value in computed.items():
        np.testing.assert_allclose(value, gradients[name], rtol=0, atol=tolerance[f"g{name}"], err_msg=name)


@every_implementation
@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_equal_the_float64_golden(golden, case, implementation):
    _agrees_with_the_golden(golden, case, implementation)


@pytest.mark.parametrize("case", MORE_CASES)
def test_the_reference_equals_the_float64_golden(golden, case):
    _agrees_with_the_golden(golden, case, "xla")


@pytest.mark.slow
@pytest.mark.parametrize("implementation", RUN_HERE[1:])
@pytest.mark.parametrize("case", MORE_CASES)
def test_kernels_equal_more_of_the_float64_golden(golden, case, implementation):
    _agrees_with_the_golden(golden, case, implementation)


@every_implementation
def test_zero_offsets_are_an_ordinary_convolution_and_their_gradient_lives(implementation):
    """A zero-initialised offset branch must be able to leave zero, and in the right direction."""
    inputs = _random()
    inputs |= {"offset": jnp.zeros_like(inputs["offset"]), "mask": jnp.ones_like(inputs["mask"])}
    grad_out = _grad_out(inputs)
    out, gradients = _values_and_gradients(implementation=implementation)(inputs, grad_out)
    dimensions = ("NHWC", "HWIO", "NHWC")
    convolution = jax.lax.conv_general_dilated(
        inputs["x"], inputs["weight"], (1, 1), [(1, 1)] * 2, dimension_numbers=dimensions
    )
    np.testing.assert_allclose(out, convolution, atol=1e-5)
    assert float(jnp.mean(jnp.abs(gradients["offset"]) > 0)) > 0.5
    # The derivative from the right, as a difference: the samples are linear up to the next pixel.
    step = 2.0**-7
    for i in range(2):
        moved = inputs | {"offset": inputs["offset"].at[..., i].add(step)}
        change = (_values_and_gradients(implementation="xla")(moved, grad_out)[0] - out) / step
        np.testing.assert_allclose(
            jnp.sum(change * grad_out), jnp.sum(gradients["offset"][..., i]), rtol=1e-3, atol=1e-2
        )


@every_implementation
def test_far_offsets_read_zero_and_stay_finite(implementation):
    inputs = _random()
    inputs["offset"] = inputs["offset"] * 1e6
    out, gradients = _values_and_gradients(implementation=implementation)(inputs, _grad_out(inputs))
    assert not jnp.any(out)
    assert all(not jnp.any(gradients[name]) for name in gradients)


def _checkpointed_and_mapped(function):
    return jax.vmap(jax.checkpoint(function))


@every_implementation
def test_transformations_give_the_same_numbers(implementation):
    inputs = _random()
    grad_out = _grad_out(inputs)
    plain = _values_and_gradients(implementation="xla")(inputs, grad_out)
    _assert_close(_values_and_gradients(implementation=implementation)(inputs, grad_out), plain, 1e-4)
    two = jax.tree.map(lambda a: jnp.stack([a, a * 0.5]), (inputs, grad_out))
    mapped = _values_and_gradients(_checkpointed_and_mapped, implementation=implementation)(*two)
    _assert_close(jax.tree.map(lambda a: a[0], mapped), plain, 1e-4)
    second = _values_and_gradients(implementation="xla")(*jax.tree.map(lambda a: a[1], two))
    _assert_close(jax.tree.map(lambda a: a[1], mapped), second, 1e-4)


def test_without_jit_the_numbers_are_the_same():
    inputs = _random()
    plain, _ = _values_and_gradients(implementation="xla")(inputs, _grad_out(inputs))
    np.testing.assert_allclose(_eager(inputs), plain, atol=1e-5)


@every_implementation
def test_bfloat16_keeps_its_dtype_and_sums_in_float32(implementation):
    inputs = _random(channels=16)
    inputs |= {name: inputs[name].astype(jnp.bfloat16) for name in ("x", "weight")}
    exact = jax.tree.map(lambda a: a.astype(jnp.float32), inputs)
    expected, expected_gradients = _values_and_gradients(implementation="xla")(exact, _grad_out(exact))
    grad_out = _grad_out(exact).astype(jnp.bfloat16)
    out, gradients = _values_and_gradients(implementation=implementation)(inputs, grad_out)
    assert out.dtype == jnp.bfloat16
    assert {n: g.dtype for n, g in gradients.items()} == {n: a.dtype for n, a in inputs.items()}
    # Samples and result are rounded to 8 bits; sums over 144 products in bfloat16 would miss this by far.
    assert _relative(out, expected) < 4e-3
    assert all(_relative(gradients[name], expected_gradients[name]) < 8e-3 for name in gradients)


def _relative(found, expected):
    difference = np.asarray(found, np.float32) - np.asarray(expected)
    return np.linalg.norm(difference) / np.linalg.norm(expected)


@every_implementation
def test_empty_batch(implementation):
    inputs = jax.tree.map(lambda a: a[:0] if a.ndim > 4 or a.shape[0] == 2 else a, _random())
    out, gradients = _values_and_gradients(implementation=implementation)(inputs, jnp.zeros((0, 6, 5, 3)))
    assert out.shape == (0, 6, 5, 3)
    assert gradients["weight"].shape == (3, 3, 4, 3) and not gradients["weight"].any()


@st.composite
def calls(draw):
    """Any call: shapes, groups of both kinds, one stride and dilation an axis, with or without mask and bias."""
    integer = functools.partial(st.integers, 1)
    groups, offset_groups = draw(integer(2)), draw(integer(3))
    channels = groups * offset_groups * draw(integer(2))
    kernel = draw(st.tuples(integer(3), integer(3)))
    stride, dilation = draw(st.tuples(integer(2), integer(2))), draw(st.tuples(integer(2), integer(2)))
    padding = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    fits = [d * (k - 1) + 1 for d, k in zip(dilation, kernel)]
    size = [draw(st.integers(f, f + 6)) for f in fits]
    out = [(n + 2 * p - f) // s + 1 for n, p, f, s in zip(size, padding, fits, stride)]
    batch, outputs = draw(integer(2)), groups * draw(integer(3))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    offset = draw(st.sampled_from([0.3, 2.0, 50.0])) * rng.normal(size=(batch, *out, offset_groups, np.prod(kernel), 2))
    arrays = {
        "x": rng.normal(size=(batch, *size, channels)),
        "offset": np.round(offset) if draw(st.booleans()) else offset,
        "weight": rng.normal(size=(*kernel, channels // groups, outputs)),
    }
    if draw(st.booleans()):
        arrays["mask"] = rng.normal(size=offset.shape[:-1])
    if draw(st.booleans()):
        arrays["bias"] = rng.normal(size=outputs)
    inputs = {name: jnp.asarray(array, jnp.float32) for name, array in arrays.items()}
    return inputs, {"stride": stride, "padding": padding, "dilation": dilation}


def _agrees_with_the_reference(implementation, call):
    inputs, options = call
    grad_out = _grad_out(inputs)
    expected = _values_and_gradients(implementation="xla", **options)(inputs, grad_out)
    found = _values_and_gradients(implementation=implementation, **options)(inputs, grad_out)
    _assert_close(found, expected, 2e-4)


def _drawn(examples):
    return hypothesis.settings(
        max_examples=examples, deadline=None, database=None, derandomize=True, phases=[hypothesis.Phase.generate]
    )


@pytest.mark.parametrize("implementation", RUN_HERE[1:])
@_drawn(1)
@hypothesis.given(call=calls())
def test_drawn_shapes_agree_with_the_reference(implementation, call):
    hypothesis.assume(call[0]["weight"].size > 1)  # the first that is drawn has one of everything
    _agrees_with_the_reference(implementation, call)


@pytest.mark.slow
@pytest.mark.parametrize("implementation", RUN_HERE[1:])
@_drawn(60)
@hypothesis.given(call=calls())
def test_many_drawn_shapes_agree_with_the_reference(implementation, call):
    _agrees_with_the_reference(implementation, call)


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
        _eager(_random() | change)


def test_unknown_implementation_is_named():
    with pytest.raises(InputError, match="cuda_magic"):
        _eager(_random(), implementation="cuda_magic")
