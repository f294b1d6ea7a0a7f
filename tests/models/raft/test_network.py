import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.models.raft.encoder import ENCODER_INIT, contrast_init
from jmpose_jax.models.raft.network import RAFT, padding_to_stride
from jmpose_jax.weights import from_state_dict, to_state_dict

NAMES = {"basic": "raft", "small": "raft_small"}


@pytest.mark.parametrize(("size", "parameters"), [("basic", 5_257_536), ("small", 990_162)])
def test_parameters_of_the_published_models(size, parameters):
    image = jnp.zeros((1, 64, 64, 3))
    variables = jax.eval_shape(lambda key: RAFT(size=size).init(key, image, image), jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) == parameters


@pytest.mark.parametrize("size", ["basic", "small"])
def test_equals_official(official, size):
    case = official(f"raft_{size}")
    variables = from_state_dict(NAMES[size], case.state_dict)
    images = [case.input(name)[None] for name in ("image1", "image2")]
    model = RAFT(size=size)

    @jax.jit
    def run(variables, image1, image2):
        return model.apply(variables, image1, image2, iterations=3, all_flows=True, return_features=True)

    flows, features = run(variables, *images)
    case.check("flow_up_iters1", flows[0])
    case.check("flow_up_iters3", flows[2])
    case.check("flow_low_iters3", features["flow_low"])
    case.check("fnet1", features["fmap1"])
    case.check("fnet2", features["fmap2"])
    case.check("cnet", features["context"])

    torchvision = case.state_dict_as(f"raft_{size}_torchvision.tsv")
    same = jax.tree.map(np.array_equal, variables, from_state_dict(NAMES[size], torchvision))
    assert all(jax.tree.leaves(same))
    for names, original in (("original", case.state_dict), ("torchvision", torchvision)):
        back = to_state_dict(NAMES[size], variables, names=names)
        assert set(back) == set(original)
        kept = [key for key in back if not key.endswith("num_batches_tracked")]
        assert all(np.array_equal(back[key], original[key]) for key in kept)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "lookup"), [("basic", "gather"), ("small", "hat")])
def test_equals_official_after_twelve_iterations(official, size, lookup):
    case = official(f"raft_{size}")
    variables = from_state_dict(NAMES[size], case.state_dict)
    images = [case.input(name)[None] for name in ("image1", "image2")]
    model = RAFT(size=size, lookup=lookup)
    run = jax.jit(lambda v, a, b: model.apply(v, a, b, iterations=12, return_features=True))
    flow, features = run(variables, *images)
    case.check("flow_up_iters12", flow)
    case.check("flow_low_iters12", features["flow_low"])


@pytest.mark.parametrize(
    ("size", "expected"),
    [((384, 288), ((0, 0), (0, 0))), ((65, 70), ((3, 4), (1, 1))), ((436, 1024), ((2, 2), (0, 0)))],
)
def test_padding_is_split_as_for_sintel(size, expected):
    assert padding_to_stride(*size) == expected


def last_kernels(initialization):
    """The kernels that the initialisations differ in; the rest is not compiled."""
    image = jnp.zeros((1, 64, 64, 3))

    def draw(key):
        params = RAFT("small", initialization=initialization).init(key, image, image, iterations=1)["params"]
        return [params[part]["conv2"]["conv"]["kernel"] for part in ("fnet", "cnet")] + [
            params["update"]["flow_head"]["conv2"]["kernel"]
        ]

    return jax.jit(draw)(jax.random.key(0, impl="rbg"))


@pytest.mark.slow
def test_initialisations():
    features, context, flow = last_kernels("published")
    np.testing.assert_allclose([features.std(), context.std()], np.sqrt([2 / 128, 2 / 160]), rtol=0.05)
    np.testing.assert_allclose(jnp.abs(flow).max(), 1 / np.sqrt(9 * 128), rtol=0.02)
    features, context, flow = last_kernels("matching")
    np.testing.assert_allclose(features.sum(-2), 0, atol=1e-5)
    np.testing.assert_allclose([features.std(), context.std()], np.sqrt([1 / 96, 1e-3 / 96]), rtol=0.05)
    assert not jnp.any(flow)


def test_features_drawn_for_matching_correlate_most_with_themselves():
    """Drawn as published, everything correlates with everything: a constant that all positions share outweighs it."""
    rng = np.random.default_rng(0)
    shared = 1.5 + 0.2 * rng.standard_normal(96)
    x = np.float32(shared + rng.standard_normal((200, 96)))
    contrast = []
    for init in (ENCODER_INIT, contrast_init):
        features = x @ np.asarray(init(jax.random.key(1), (1, 1, 96, 128)))[0, 0]
        correlation = features @ features.T
        contrast.append(np.diag(correlation).mean() / correlation.mean())
    assert contrast[0] < 2 and contrast[1] > 10


@pytest.fixture
def small(random_variables):
    model = RAFT(size="small")
    image = jax.random.uniform(jax.random.key(0), (1, 61, 50, 3)) * 255
    return model, random_variables(model, image, image, iterations=1), image


@pytest.mark.slow
def test_odd_sizes_equal_images_padded_by_hand(small):
    model, variables, image = small
    other = jnp.roll(image, 2, axis=2)
    (top, bottom), (left, right) = padding_to_stride(61, 50)
    widths = ((0, 0), (top, bottom), (left, right), (0, 0))
    run = jax.jit(lambda a, b: model.apply(variables, a, b, iterations=2))
    flow = run(image, other)
    by_hand = run(*(jnp.pad(i, widths, mode="edge") for i in (image, other)))
    assert flow.shape == (1, 61, 50, 2)
    np.testing.assert_allclose(flow, by_hand[:, top : top + 61, left : left + 50], atol=1e-4)


def test_bytes_and_floats_are_scaled_alike(small):
    model, variables, image = small
    bytes_ = image.astype(jnp.uint8)
    padding = padding_to_stride(61, 50)
    scaled = [model.apply(variables, i, *padding, method="_prepare") for i in (bytes_, bytes_.astype(jnp.float32))]
    np.testing.assert_array_equal(*scaled)
    assert scaled[0].shape == (1, 64, 56, 3) and -1 <= scaled[0].min() < -0.9 and 0.9 < scaled[0].max() <= 1


def gradient(small, remat):
    _, variables, image = small
    other = jnp.roll(image, 1, axis=1)

    def loss(params):
        model = RAFT(size="small", remat=remat)
        flows = model.apply({"params": params}, image, other, iterations=2, all_flows=True)
        return jnp.abs(flows - 1.0).mean()

    return jax.jit(jax.grad(loss))(variables["params"])


@pytest.mark.slow
def test_every_kernel_learns_and_remat_changes_nothing(small):
    found, plain = (gradient(small, remat) for remat in (True, False))
    assert all(jnp.any(g != 0) for g in jax.tree.leaves(found) if g.ndim == 4)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4, rtol=1e-3), found, plain)


def test_training_mode_updates_the_context_statistics_of_the_basic_size():
    model = RAFT(size="basic")
    image = jnp.zeros((1, 64, 64, 3))
    _, updated = jax.eval_shape(
        lambda key: model.apply(
            model.init(key, image, image, iterations=1), image, image, 1, True, mutable="batch_stats"
        ),
        jax.random.key(0),
    )
    assert set(updated["batch_stats"]) == {"cnet"}


def test_an_unknown_initialisation_is_named():
    with pytest.raises(InputError, match="initialization='zeros': choose one of published, matching"):
        RAFT(initialization="zeros").init(jax.random.key(0), *[jnp.zeros((1, 64, 64, 3))] * 2)


@pytest.mark.parametrize(
    ("size", "shapes", "iterations", "message"),
    [
        ("large", [(1, 64, 64, 3)] * 2, 1, "basic, small"),
        ("small", [(1, 64, 64, 3), (1, 64, 72, 3)], 1, r"\[1, 64, 64, 3\] and \[1, 64, 72, 3\]"),
        ("small", [(1, 64, 64, 1)] * 2, 1, r"\[B, H, W, 3\]"),
        ("small", [(1, 64, 64, 3)] * 2, 0, "iterations=0"),
    ],
)
def test_bad_input_is_named(size, shapes, iterations, message):
    with pytest.raises(InputError, match=message):
        RAFT(size=size).init(jax.random.key(0), *map(jnp.zeros, shapes), iterations=iterations)
