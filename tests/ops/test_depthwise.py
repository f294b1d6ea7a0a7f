"""Depthwise convolutions by shifted images equal XLA's grouped ones, values and gradients, whatever the size."""

import jax
import numpy as np
import pytest

from jmpose_jax.ops import depthwise
from jmpose_jax.ops.target import compiling_for


@pytest.mark.parametrize("size", [(8, 8), (7, 10), (1, 3)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [(3, 3), (5, 5)])
def test_equals_the_grouped_convolution(size, stride, kernel):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, *size, 6)).astype(np.float32)
    weights = rng.normal(size=(*kernel, 1, 6)).astype(np.float32)
    fake = type("Device", (), {"platform": "gpu", "device_kind": "any"})()

    def shifted(x, w):
        return depthwise.depthwise_conv(x, w, stride)

    def grouped(x, w):
        with compiling_for(fake):
            return depthwise.depthwise_conv(x, w, stride)

    @jax.jit
    def compared(x, w):
        expected = jax.lax.conv_general_dilated(
            x, w, (stride, stride), "SAME", dimension_numbers=depthwise.LAYOUT, feature_group_count=6
        )
        gradients = [jax.grad(lambda x, w, f=f: (f(x, w) ** 2).sum(), (0, 1))(x, w) for f in (shifted, grouped)]
        return shifted(x, w), grouped(x, w), expected, gradients

    ours, theirs, expected, gradients = compared(x, weights)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    np.testing.assert_allclose(ours, expected, atol=1e-5)  # XLA's SAME is TensorFlow's
    assert ours.shape == (2, -(-size[0] // stride), -(-size[1] // stride), 6)
    for a, b in zip(*gradients, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
