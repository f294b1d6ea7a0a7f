"""The figures of the networks: what is measured, and what the table says."""

import pytest

from benchmarks.networks import draw, table, time_ours

RESULT = {
    "size": [384, 288],
    "machine": {"cores": 2},
    "load_average": 0.5,
    "networks": {
        "HRNet-W48": {"compile_seconds": 3.04, "forward_seconds": 1.267, "torch": {"forward_seconds": 1.5}},
        "RAFT, 20 iterations": {"compile_seconds": 2.3, "forward_seconds": 1.9},
    },
}


def test_a_row_says_what_was_not_measured():
    text = table(RESULT)
    assert "| HRNet-W48 | 3.0 | 1.27 | 1.50 |" in text and "| RAFT, 20 iterations | 2.3 | 1.90 | not measured |" in text


def test_ours_is_timed_and_returned():
    import jax.numpy as jnp
    import numpy as np

    seconds, result = time_ours(lambda x: x @ x, (jnp.eye(3) * 2,), repeats=2)
    assert all(value > 0 for value in seconds.values())
    np.testing.assert_array_equal(result, np.eye(3) * 4)


def test_pytorchs_stack_is_the_same_network():
    torch = pytest.importorskip("torch")
    import jax
    import numpy as np

    from benchmarks.networks import time_torch
    from benchmarks.torch_hrnet import TorchHRNet
    from jmpose_jax.models import HRNet
    from jmpose_jax.weights import to_state_dict

    assert torch.__version__
    images = np.random.default_rng(0).standard_normal((1, 64, 64, 3)).astype(np.float32)
    model = HRNet(4)
    variables = draw(model, images)
    ours = jax.jit(model.apply)(variables, images)
    found = time_torch(TorchHRNet(4), to_state_dict("hrnet_w4", variables), [images], ours, repeats=1)
    assert found["largest_relative_difference"] < 1e-4
