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

    def grouped(x, w):
        with compiling_for(fake):
            return depthwise.depthwise_conv(x, w, stride)

    ours = depthwise.depthwise_conv(x, weights, stride)
    np.testing.assert_allclose(ours, grouped(x, weights), atol=1e-5)
    assert ours.shape == (2, -(-size[0] // stride), -(-size[1] // stride), 6)
    expected = jax.lax.conv_general_dilated(
        x, weights, (stride, stride), "SAME", dimension_numbers=depthwise.LAYOUT, feature_group_count=6
    )
    np.testing.assert_allclose(ours, expected, atol=1e-5)  # XLA's SAME is TensorFlow's
    gradients = [
        jax.grad(lambda x, w, f=f: (f(x, w) ** 2).sum(), (0, 1))(x, weights)
        for f in (lambda x, w: depthwise.depthwise_conv(x, w, stride), grouped)
    ]
    for a, b in zip(*gradients, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
