import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.models.backbones.hrnet import HRNet, upsample_nearest
from jmpose_jax.weights import from_state_dict, to_state_dict

TINY = dict(
    width=16,
    num_joints=15,
    stem_features=(16, 16),
    stem_block="basic",
    stem_blocks=1,
    stage_modules=(1, 1),
    blocks_per_branch=1,
)


def parameters(module):
    variables = jax.eval_shape(lambda key: module.init(key, jnp.zeros((1, 64, 64, 3))), jax.random.key(0))
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


def test_parameters_of_the_published_networks():
    assert parameters(HRNet(width=48, num_joints=17)) == 63_595_745
    assert parameters(HRNet(**TINY)) == 158_223


@pytest.mark.parametrize("name", ["hrnet_w32", pytest.param("hrnet_w48", marks=pytest.mark.slow)])
def test_equals_official(official, name):
    case = official(name)
    variables = from_state_dict(name, case.state_dict)
    model = HRNet(width=int(name[-2:]), num_joints=17)
    heatmaps, features = jax.jit(lambda v, x: model.apply(v, x, return_features=True))(variables, case.input("x"))
    case.check("heatmaps", heatmaps)
    case.check("layer1", features["layer1"])
    case.check("transition1_b0", features["transition1"][0])
    for stage in (2, 3, 4):
        case.check(f"stage{stage}_b0", features[f"stage{stage}"][0])
    case.check("stage3_b1", features["stage3"][1])
    case.check("stage3_b2", features["stage3"][2])

    back = to_state_dict(name, variables)
    assert set(back) == set(case.state_dict)
    counters = [key for key in back if key.endswith("num_batches_tracked")]
    assert all(np.array_equal(back[key], case.state_dict[key]) for key in back if key not in counters)


@pytest.mark.slow
def test_the_multi_scale_form_equals_the_official_one(official):
    """Inside TDMI, whose golden file keeps the heatmaps of its backbone."""
    case = official("tdmi_dtdmnrv15_2")
    state_dict = {key.removeprefix("hrnet."): v for key, v in case.state_dict.items() if key.startswith("hrnet.")}
    variables = from_state_dict("hrnet_w48_all_scales", state_dict)
    model = HRNet(width=48, all_scales=True)
    case.check("kf_bb_hm", jax.jit(model.apply)(variables, case.input("kf")))
    back = to_state_dict("hrnet_w48_all_scales", variables)
    assert set(back) == set(state_dict)


@pytest.mark.slow
def test_equals_official_inside_dcpose(official):
    """Other weights and sizes than the files of HRNet alone: three frames a clip."""
    case = official("dcpose_rsn")
    prefix = "rough_pose_estimation_net."
    state_dict = {key.removeprefix(prefix): v for key, v in case.state_dict.items() if key.startswith(prefix)}
    variables = from_state_dict("hrnet_w48", state_dict)
    frames = np.concatenate(np.split(case.input("x"), 3, axis=-1))
    case.check("rough_heatmaps", jax.jit(HRNet(width=48).apply)(variables, frames))


def test_shapes_of_the_tiny_network_and_of_its_features():
    model = HRNet(**TINY)
    images = jnp.zeros((2, 64, 48, 3))
    (heatmaps, features), variables = jax.eval_shape(
        lambda key: model.init_with_output(key, images, return_features=True), jax.random.key(0)
    )
    assert heatmaps.shape == (2, 16, 12, 15)
    assert features["layer1"].shape == (2, 16, 12, 16)
    assert [f.shape for f in features["stage2"]] == [(2, 16, 12, 16), (2, 8, 6, 32)]
    assert [f.shape for f in features["transition2"]] == [(2, 16, 12, 16), (2, 8, 6, 32), (2, 4, 3, 64)]
    assert [f.shape for f in features["stage3"]] == [(2, 16, 12, 16)]
    assert set(variables) == {"params", "batch_stats"}


def test_all_scales_adds_outputs_without_changing_the_heatmaps(random_variables):
    images = jax.random.normal(jax.random.key(0), (1, 32, 32, 3))
    every = HRNet(**TINY, all_scales=True)
    finest = HRNet(**TINY)
    variables = random_variables(every, images)
    heatmaps, features = jax.jit(lambda v: every.apply(v, images, return_features=True))(variables)
    assert [f.shape[1:3] for f in features["stage3"]] == [(8, 8), (4, 4), (2, 2)]
    params = dict(variables["params"])
    params["stage3_last"] = params.pop("stage3")
    statistics = dict(variables["batch_stats"])
    statistics["stage3_last"] = statistics.pop("stage3")
    alone = jax.jit(finest.apply)({"params": params, "batch_stats": statistics}, images)
    np.testing.assert_allclose(heatmaps, alone, atol=1e-5)


@pytest.mark.slow  # CI's quickstart trains one
def test_a_training_step_lowers_the_loss_and_updates_statistics(random_variables):
    model = HRNet(**TINY)
    images = jax.random.normal(jax.random.key(0), (2, 32, 32, 3))
    variables = random_variables(model, images)

    @jax.jit
    def step(variables):
        def loss(params):
            inputs = {"params": params, "batch_stats": variables["batch_stats"]}
            heatmaps, updated = model.apply(inputs, images, True, mutable=["batch_stats"])
            return jnp.mean((heatmaps - 1) ** 2), updated["batch_stats"]

        (value, statistics), gradient = jax.value_and_grad(loss, has_aux=True)(variables["params"])
        params = jax.tree.map(lambda p, g: p - 0.05 * g, variables["params"], gradient)
        return value, {"params": params, "batch_stats": statistics}, gradient

    first, trained, gradient = step(variables)
    second, _, _ = step(trained)
    assert second < first
    assert all(jnp.any(g != 0) for g in jax.tree.leaves(gradient))
    moved = jax.tree.map(lambda a, b: bool(jnp.any(a != b)), variables["batch_stats"], trained["batch_stats"])
    assert all(jax.tree.leaves(moved))


def test_the_head_starts_small_and_the_body_is_scaled_by_fan_in():
    def two_kernels(key):
        params = HRNet(**TINY).init(key, jnp.zeros((1, 32, 32, 3)))["params"]
        return params["final_layer"]["kernel"], params["stage2"]["branch1"]["conv1"]["conv"]["kernel"]

    head, body = jax.jit(two_kernels)(jax.random.key(0))
    np.testing.assert_allclose(head.std(), 1e-3, rtol=0.2)
    np.testing.assert_allclose(body.std(), 1 / np.sqrt(9 * 32), rtol=0.1)


def test_the_kernel_initialiser_reaches_every_kernel_but_the_heads():
    drawn = []

    def spy(key, shape, dtype=jnp.float32):
        drawn.append(shape)
        return jnp.zeros(shape, dtype)

    model = HRNet(**TINY, kernel_init=spy)
    variables = jax.eval_shape(lambda key: model.init(key, jnp.zeros((1, 32, 32, 3))), jax.random.key(0))
    kernels = [leaf.shape for leaf in jax.tree.leaves(variables["params"]) if leaf.ndim == 4]
    assert set(kernels) == {*drawn, (1, 1, 16, 15)}


def test_upsample_nearest():
    x = jnp.arange(4.0).reshape(1, 2, 2, 1)
    np.testing.assert_array_equal(upsample_nearest(x, 2)[0, :, :, 0], np.kron([[0, 1], [2, 3]], np.ones((2, 2))))


@pytest.mark.parametrize(
    ("attributes", "shape", "message"),
    [
        ({}, (1, 100, 96, 3), "multiples of 32, not 100 x 96"),
        (TINY, (1, 64, 40, 3), "multiples of 16, not 64 x 40"),
        ({}, (1, 64, 64, 4), r"not \[1, 64, 64, 4\]"),
        ({}, (64, 64, 3), r"not \[64, 64, 3\]"),
        ({"stem_block": "fancy"}, (1, 64, 64, 3), "bottleneck, basic"),
        ({"stage_modules": (1, 0)}, (1, 64, 64, 3), "at least 1"),
    ],
)
def test_bad_input_is_named(attributes, shape, message):
    with pytest.raises(InputError, match=message):
        HRNet(**attributes).init(jax.random.key(0), jnp.zeros(shape))
