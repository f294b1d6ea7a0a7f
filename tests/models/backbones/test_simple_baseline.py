import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.models.backbones.simple_baseline import SimpleBaseline
from jmpose_jax.weights import from_state_dict, to_state_dict


@pytest.mark.slow
def test_equals_official(official):
    case = official("simplebaseline_r50")
    variables = from_state_dict("simple_baseline_r50", case.state_dict)
    model = SimpleBaseline(depth=50, num_joints=17)
    heatmaps, features = jax.jit(lambda v, x: model.apply(v, x, return_features=True))(variables, case.input("x"))
    case.check("heatmaps", heatmaps)
    for name, value in features.items():
        case.check(name, value)
    back = to_state_dict("simple_baseline_r50", variables)
    assert set(back) == set(case.state_dict)
    kept = [key for key in back if not key.endswith("num_batches_tracked")]
    assert all(np.array_equal(back[key], case.state_dict[key]) for key in kept)


@pytest.mark.parametrize(("depth", "parameters"), [(50, 33_999_697), (101, 52_991_825), (152, 68_635_473)])
def test_parameters(depth, parameters):
    variables = jax.eval_shape(
        lambda key: SimpleBaseline(depth=depth).init(key, jnp.zeros((1, 64, 64, 3))), jax.random.key(0)
    )
    assert sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) == parameters


@pytest.mark.parametrize(
    ("depth", "shape", "message"),
    [
        (34, (1, 64, 64, 3), "50, 101, 152"),
        (50, (1, 64, 50, 3), "multiples of 32, not 64 x 50"),
        (50, (1, 64, 64, 1), r"not \[1, 64, 64, 1\]"),
    ],
)
def test_bad_input_is_named(depth, shape, message):
    with pytest.raises(InputError, match=message):
        SimpleBaseline(depth=depth).init(jax.random.key(0), jnp.zeros(shape))
