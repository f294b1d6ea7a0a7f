"""MoveNet's layout by its counts, its stride, and what it refuses; depthwise layers as XLA's grouped ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.models import MoveNet
from jmpose_jax.models.movenet.network import VARIANTS

COUNTS = {"thunder": 6_226_046, "lightning": 2_317_974, "multipose": 4_723_346}


@pytest.mark.parametrize("variant", VARIANTS)
def test_parameters_of_the_published_networks(variant):
    size = VARIANTS[variant].size or (96, 160)
    images = jax.ShapeDtypeStruct((2, *size, 3), jnp.uint8)
    heads, variables = jax.eval_shape(MoveNet(variant).init_with_output, jax.random.key(0), images)
    assert sum(leaf.size for leaf in jax.tree.leaves(variables)) == COUNTS[variant]
    for name, channels in VARIANTS[variant].heads.items():
        assert heads[name].shape == (2, size[0] // 4, size[1] // 4, channels) and heads[name].dtype == jnp.float32


def test_bytes_and_floats_are_the_same_images(random_variables):
    images = np.random.default_rng(0).integers(0, 256, (1, 32, 64, 3)).astype(np.uint8)
    model = MoveNet("lightning")
    variables = random_variables(model, images)
    run = jax.jit(model.apply)
    ours, theirs = run(variables, images), run(variables, images.astype(np.float32))
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])


@pytest.mark.parametrize(
    ("variant", "shape", "words"),
    [("storm", (1, 64, 64, 3), "thunder, lightning, multipose"), ("thunder", (1, 60, 64, 3), "60 x 64"),
     ("thunder", (64, 64, 3), r"\[64, 64, 3\]"), ("thunder", (1, 64, 64, 1), r"\[1, 64, 64, 1\]")],
)  # fmt: skip
def test_what_cannot_be_read_is_named(variant, shape, words):
    with pytest.raises(InputError, match=words):
        jax.eval_shape(MoveNet(variant).init, jax.random.key(0), jax.ShapeDtypeStruct(shape, jnp.float32))
