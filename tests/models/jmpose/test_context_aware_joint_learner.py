import jax
import numpy as np

from jmpose_jax.models.blocks import LINEAGE_INIT
from jmpose_jax.models.deformable_sampling import DeformableSampling


def test_the_lineages_initialisation_passes_over_the_deformable_convolution():
    """Its kernel stays as PyTorch draws it, uniform within 1 / sqrt(fan in)."""
    x = np.zeros((1, 4, 4, 12), np.float32)
    module = DeformableSampling(12, 2, mask_activation="none", kernel_init=LINEAGE_INIT)
    quick = {"xla_backend_optimization_level": 0}
    params = jax.jit(lambda key: module.init(key, x, x)["params"], compiler_options=quick)(jax.random.key(0))
    limit = 1 / np.sqrt(9 * 12)
    assert 0.95 * limit < np.abs(params["kernel"]).max() <= limit
    np.testing.assert_allclose(np.std(params["kernel"]), limit / np.sqrt(3), rtol=0.1)
    np.testing.assert_allclose(np.std(params["offset_blocks"]["first"]["conv1"]["conv"]["kernel"]), 1e-3, rtol=0.1)
    np.testing.assert_allclose(np.std(params["offset_conv"]["kernel"]), 1e-3, rtol=0.1)


def test_the_taps_are_spread_by_the_dilation():
    """Without displacement and with weights of 1/2 it is half a dilated convolution."""
    x = np.random.default_rng(0).standard_normal((1, 7, 7, 4)).astype(np.float32)
    module = DeformableSampling(4, 2, num_blocks=0, dilation=3)
    out, variables = jax.jit(module.init_with_output)(jax.random.key(0), x, x)
    expected = jax.lax.conv_general_dilated(
        x, variables["params"]["kernel"], (1, 1), ((3, 3), (3, 3)), rhs_dilation=(3, 3),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )  # fmt: skip
    np.testing.assert_allclose(out, expected / 2, atol=1e-5)
