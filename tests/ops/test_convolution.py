import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jmpose_jax.ops.convolution import LAYOUT, conv_general_dilated


@pytest.mark.parametrize(
    ("height", "width", "kernel", "stride", "dilation", "padding"),
    [
        (9, 8, 3, 2, 1, (1, 1)),
        (8, 10, 7, 2, 1, (3, 3)),  # an input row that no window reaches
        (11, 12, 3, 1, 3, (3, 3)),
        (10, 10, 4, 2, 2, (2, 1)),
        (7, 7, 2, 3, 1, (0, 0)),  # strides beyond the kernel
    ],
)
def test_value_and_gradients_equal_those_of_jax(height, width, kernel, stride, dilation, padding):
    keys = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(keys[0], (2, height, width, 3))
    weights = jax.random.normal(keys[1], (kernel, kernel, 3, 5))
    options = dict(window_strides=(stride,) * 2, padding=(padding,) * 2, rhs_dilation=(dilation,) * 2)
    numbers = dict(dimension_numbers=LAYOUT)

    @jax.jit
    def both(x, weights, key):
        results = []
        for function, more in ((conv_general_dilated, {}), (lax.conv_general_dilated, numbers)):
            y, backward = jax.vjp(lambda x, w: function(x, w, **options, **more), x, weights)  # noqa: B023
            results.append((y, *backward(jax.random.normal(key, y.shape))))
        return results

    for ours, theirs in zip(*both(x, weights, keys[2])):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_gradients_inside_a_scan_stay_in_the_fast_layout():
    """XLA's CPU compiler rewrites other layouts only outside of loops; there they run as scalar code."""
    x = jnp.zeros((2, 8, 8, 4))

    def loss(kernels):
        def body(x, kernel):
            return jnp.tanh(conv_general_dilated(x, kernel, (1, 1), ((1, 1), (1, 1)))), None

        return lax.scan(body, x, kernels)[0].sum()

    program = jax.jit(jax.grad(loss)).lower(jnp.zeros((3, 3, 3, 4, 4))).compile().as_text()
    layouts = {line.split("dim_labels=")[1].split(",")[0] for line in program.splitlines() if "dim_labels=" in line}
    assert layouts == {"b01f_01io->b01f"}


def test_groups_and_input_dilation_are_left_to_jax():
    x = jnp.arange(2 * 5 * 5 * 4.0).reshape(2, 5, 5, 4)
    kernel = jnp.ones((3, 3, 2, 6))
    padding = ((1, 1), (1, 1))
    numbers = lax.conv_dimension_numbers(x.shape, kernel.shape, LAYOUT)
    grouped = conv_general_dilated(x, kernel, (1, 1), padding, None, None, numbers, 2)
    expected = lax.conv_general_dilated(x, kernel, (1, 1), padding, None, None, LAYOUT, 2)
    np.testing.assert_array_equal(grouped, expected)
    spread = conv_general_dilated(x[..., :2], kernel, (1, 1), padding, (2, 2))
    assert spread.shape == (2, 9, 9, 6)


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_other_platforms_get_the_gradients_of_jax(platform):
    x, kernel = jnp.zeros((2, 8, 8, 4)), jnp.zeros((3, 3, 4, 4))
    programs = []
    for function in (conv_general_dilated, lax.conv_general_dilated):
        gradient = jax.grad(
            lambda x, w: function(x, w, (1, 1), ((1, 1), (1, 1)), dimension_numbers=LAYOUT).sum(),  # noqa: B023
            argnums=(0, 1),
        )
        text = jax.jit(gradient).trace(x, kernel).lower(lowering_platforms=(platform,)).as_text()
        programs.append(sorted(line.split("dim_numbers")[1] for line in text.splitlines() if "dim_numbers" in line))
    assert programs[0] == programs[1]


@pytest.mark.parametrize("mapped", [(0, 0), *(pytest.param(m, marks=pytest.mark.slow) for m in ((0, None), (None, 0)))])
def test_a_convolution_of_many_instances_is_each_of_them(mapped):
    keys = jax.random.split(jax.random.key(1), 2)
    shapes = ((2, 7, 6, 3), (3, 3, 3, 4))
    x, kernel = (jax.random.normal(k, s if m is None else (3, *s)) for k, s, m in zip(keys, shapes, mapped))

    def total(x, kernel):
        y = conv_general_dilated(x, kernel, window_strides=(2, 1), padding=((1, 1), (1, 1)))
        return jnp.sum(y**3), y

    gradient = jax.grad(total, argnums=(0, 1), has_aux=True)
    together = jax.jit(jax.vmap(gradient, in_axes=mapped))(x, kernel)
    alone = jax.jit(gradient)
    for i in range(3):
        expected = alone(*(a if m is None else a[i] for a, m in zip((x, kernel), mapped)))
        for ours, theirs in zip(jax.tree.leaves(together), jax.tree.leaves(expected)):
            np.testing.assert_allclose(ours[i], theirs, rtol=1e-4, atol=1e-4)


def test_instances_do_not_become_a_grouped_convolution_on_cpus():
    x, kernel = jnp.zeros((3, 2, 7, 6, 3)), jnp.zeros((3, 3, 3, 3, 4))
    options = dict(window_strides=(1, 1), padding=((1, 1), (1, 1)))

    def gradient(x, kernel):
        return jax.grad(lambda x, w: jnp.sum(conv_general_dilated(x, w, **options) ** 2), argnums=(0, 1))(x, kernel)

    text = jax.jit(jax.vmap(gradient)).lower(x, kernel).compile().as_text()
    assert "convolution" in text
    assert "feature_group_count=3" not in text and "batch_group_count=3" not in text
