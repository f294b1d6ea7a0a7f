"""ViTPose: equal to the transformers library's, by numbers that travel here and by the library where it is there."""

import importlib.util
import logging
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.convert import convert
from jmpose_jax.errors import InputError
from jmpose_jax.models.backbones.vitpose import DECODERS, ViTPose, patch_positions
from jmpose_jax.models.image_baseline import ImageBaseline
from jmpose_jax.records import ClipBatch
from jmpose_jax.train.trained import load_model
from jmpose_jax.weights import (
    WeightsError,
    convert_state_dict,
    from_state_dict,
    published_model,
    save_torch,
    to_state_dict,
)
from jmpose_jax.weights.convert import to_mapping, to_variables
from jmpose_jax.weights.layers import entries, flatten
from jmpose_jax.weights.vitpose import sized, table, transformers_table


@pytest.fixture(scope="module")
def made(golden):
    """The script that made the golden outputs."""
    spec = importlib.util.spec_from_file_location("vitpose_golden", golden / "vitpose" / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def network(made, decoder):
    sizes = dict(width=made.WIDTH, depth=made.DEPTH, heads=made.HEADS, num_joints=made.JOINTS)
    return ViTPose(decoder=decoder, position_grid=(4, 3), epsilon=made.EPSILON, **sizes)


def abstract(model, size=(64, 48)):
    return jax.eval_shape(model.init, jax.random.key(0), jax.ShapeDtypeStruct((1, *size, 3), jnp.float32))


def known(model, names):
    return entries(names(model), {path: leaf.shape for path, leaf in flatten(abstract(model))})


def drawn(made, model):
    """Variables with the weights that the golden outputs were computed with."""
    state = {entry.key: made.draw(entry.key, entry.shape) for entry in known(model, transformers_table)}
    return to_variables("vitpose", transformers_table(model), abstract(model), state)[0]


@pytest.mark.parametrize("decoder", DECODERS)
def test_equals_the_library(made, golden, decoder):
    expected = np.load(golden / "vitpose" / "outputs.npz")
    model = network(made, decoder)
    assert {entry.key for entry in known(model, transformers_table)} == set(expected[f"{decoder}_names"])
    variables = drawn(made, model)
    images = jnp.asarray(made.images().transpose(0, 2, 3, 1))
    heatmaps, features = jax.jit(lambda v, x: model.apply(v, x, return_features=True))(variables, images)
    reference = expected[decoder].transpose(0, 2, 3, 1)
    np.testing.assert_allclose(heatmaps, reference, atol=2e-6 * np.abs(reference).max() + 1e-6)
    assert model.finest(features)[0].shape[:3] == heatmaps.shape[:3]
    # The published names, there and back.
    state = to_mapping("vitpose", table(model), variables)
    back, _ = to_variables("vitpose", table(model), abstract(model), state)
    before = dict(flatten(variables))
    assert all(np.array_equal(leaf, before[path]) for path, leaf in flatten(back))
    query = drawn(made, model)["params"]["blocks"]["attention"]["qkv_kernel"][1, 0]
    np.testing.assert_array_equal(state["backbone.blocks.1.attn.qkv.weight"][: made.WIDTH], query.T)
    assert ("keypoint_head.deconv_layers.0.weight" in state) == (decoder == "classic")


@pytest.mark.slow  # imports PyTorch
@pytest.mark.parametrize("decoder", DECODERS)
def test_equals_the_library_where_it_is_installed(made, decoder):
    torch = pytest.importorskip("torch", reason="the extra torch is not installed")
    pytest.importorskip("transformers", reason="the transformers library is not installed")
    model, theirs = network(made, decoder), made.library_model(decoder)
    with torch.no_grad():
        expected = theirs(torch.from_numpy(made.images())).heatmaps.numpy().transpose(0, 2, 3, 1)
    state = {key: value.numpy() for key, value in theirs.state_dict().items()}
    variables, _ = to_variables("vitpose", transformers_table(model), abstract(model), state)
    heatmaps = jax.jit(model.apply)(variables, jnp.asarray(made.images().transpose(0, 2, 3, 1)))
    np.testing.assert_allclose(heatmaps, expected, atol=1e-5 * np.abs(expected).max())
    assert "torch" in sys.modules


def test_the_published_sizes():
    def parameters(name):
        return sum(leaf.size for leaf in jax.tree.leaves(abstract(published_model(name), (256, 192))["params"]))

    backbone = 16 * 16 * 3 * 768 + 768 + 193 * 768 + 2 * 768 + 12 * (12 * 768**2 + 13 * 768)
    assert parameters("vitpose_b_simple") == backbone + 9 * 768 * 17 + 17
    assert parameters("vitpose_b") == backbone + 16 * 256 * (768 + 256) + 4 * 256 + 256 * 17 + 17
    assert [published_model(f"vitpose_{size}").width for size in "sblh"] == [384, 768, 1024, 1280]


def test_the_position_embedding_of_another_resolution_is_interpolated_and_said(made, caplog):
    model = network(made, "simple")
    variables = drawn(made, model)
    with caplog.at_level(logging.INFO):
        heatmaps = jax.eval_shape(model.apply, variables, jnp.zeros((1, 128, 96, 3)))
        assert caplog.messages == ["ViTPose: position embedding interpolated from 4 x 3 patches to 8 x 6"]
        caplog.clear()
        jax.eval_shape(model.apply, variables, jnp.zeros((1, 64, 48, 3)))
        assert not caplog.messages
    assert heatmaps.shape == (1, 32, 24, made.JOINTS)

    # A ramp down the rows stays one; what belongs to no patch is added to all.
    ramp = np.repeat(np.linspace(0, 1, 4, dtype=np.float32), 3)
    embedding = np.concatenate([[10.0], ramp])[None, :, None]
    positions = np.asarray(patch_positions(jnp.asarray(embedding), (4, 3), (8, 6))).reshape(8, 6)
    np.testing.assert_allclose(positions[:, 1], positions[:, 4], atol=1e-5)
    assert np.all(np.diff(positions[1:-1, 0]) > 0) and abs(positions.mean() - 10.5) < 1e-3
    np.testing.assert_allclose(patch_positions(embedding, (4, 3), (4, 3))[0, :, 0], 10 + ramp, rtol=1e-6)


def test_what_does_not_fit_is_said(made):
    images = jnp.zeros((1, 64, 48, 3))
    for change, message in (
        (dict(decoder="deconv"), "decoder='deconv': choose one of classic, simple"),
        (dict(heads=5), "heads divide the width"),
        (dict(position_grid=(12,)), r"position_grid=\(12,\): give rows and columns"),
    ):
        with pytest.raises(InputError, match=message):
            jax.eval_shape(network(made, "simple").clone(**change).init, jax.random.key(0), images)
    with pytest.raises(InputError, match="multiples of 16, not 60 x 48"):
        jax.eval_shape(network(made, "simple").init, jax.random.key(0), images[:, :60])
    with pytest.raises(InputError, match="backbone.pos_embed is of 196 patches, which are no grid of 4 : 3"):
        sized(ViTPose(), {"backbone.pos_embed": np.zeros((1, 197, 768))})
    file = {
        "backbone.pos_embed": np.zeros((1, 433, 384)),
        "keypoint_head.final_layer.weight": np.zeros((15, 256, 1, 1)),
    }
    found = sized(ViTPose(), file)
    assert found.position_grid == (24, 18) and found.num_joints == 15


@pytest.mark.slow  # two state dicts of 24 million values
def test_published_checkpoints_of_both_kinds_and_of_another_size(tmp_path):
    model = published_model("vitpose_s_simple", 15)
    rng = np.random.default_rng(0)
    variables = jax.tree.map(lambda leaf: rng.standard_normal(leaf.shape).astype(np.float32), abstract(model))
    variables = {"params": variables["params"], "batch_stats": {}}
    for names in ("original", "transformers"):
        state = to_state_dict("vitpose_s_simple", variables, names=names)
        back = dict(flatten(from_state_dict("vitpose_s_simple", {"state_dict": state})))
        assert all(np.array_equal(leaf, back[path]) for path, leaf in flatten(variables))
        with pytest.raises(WeightsError, match="it looks like vitpose_s_simple"):
            convert_state_dict("vitpose_b_simple", state)
    save_torch(tmp_path / "vitpose.safetensors", state)
    report = convert("vitpose_s_simple", tmp_path / "vitpose.safetensors", tmp_path / "converted")
    assert not report.unmatched and not report.initial
    config, network, loaded = load_model(tmp_path / "converted")
    assert tuple(config["dataset"]["input_size"]) == (256, 192) and network.backbone["heads"] == 12
    expected = dict(flatten(variables["params"]))
    assert all(np.array_equal(leaf, expected[path]) for path, leaf in flatten(loaded["params"]["backbone"]))
    with pytest.raises(InputError, match="vitpose_s has original and transformers names"):
        to_state_dict("vitpose_s", variables, names="torchvision")


def test_as_a_backbone(made):
    options = {"kind": "vitpose", "width": 32, "depth": 2, "heads": 4, "decoder": "simple"}
    ones = jnp.ones(2)
    frames, joints = jnp.zeros((2, 3, 64, 48, 3), jnp.uint8), jnp.ones((2, 5))
    batch = ClipBatch(frames, jnp.zeros((2, 5, 2)), joints, jnp.zeros((2, 2, 3)), ones, ones, ones)
    output = jax.eval_shape(lambda key: ImageBaseline(options).init_with_output(key, batch)[0], jax.random.key(0))
    assert output.heatmaps.shape == (2, 16, 12, 5)
