import json
import re

import ml_dtypes
import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.models.backbones.hrnet import HRNet
from jmpose_jax.models.raft.network import RAFT
from jmpose_jax.weights import (
    WeightsError,
    convert_state_dict,
    from_state_dict,
    published_model,
    remap_head,
    to_state_dict,
)
from jmpose_jax.weights.convert import to_mapping, to_variables
from jmpose_jax.weights.hrnet import hrnet
from jmpose_jax.weights.layers import Layer, entries, flatten, to_flax, to_torch
from jmpose_jax.weights.models import abstract_variables, name_table
from jmpose_jax.weights.prefixes import unwrap
from jmpose_jax.weights.raft import torchvision_name


def random_like(abstract, seed=0):
    rng = np.random.default_rng(seed)
    if isinstance(abstract, dict):
        return {key: random_like(value, seed + i) for i, (key, value) in enumerate(abstract.items())}
    return rng.standard_normal(abstract.shape).astype(np.float32)


def same(a, b):
    a, b = dict(flatten(a)), dict(flatten(b))
    return a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)


@pytest.fixture(scope="module")
def narrow():
    """Variables and state dict of an HRNet of width 4: all 1754 keys, few values."""
    variables = random_like(abstract_variables(published_model("hrnet_w4")))
    return variables, to_state_dict("hrnet_w4", variables)


@pytest.mark.parametrize("name", ["raft", "raft_small", "simple_baseline_r50"])
def test_round_trip(name):
    variables = {"params": {}, "batch_stats": {}} | random_like(abstract_variables(published_model(name)))
    assert same(from_state_dict(name, to_state_dict(name, variables)), variables)
    if name.startswith("raft"):
        torchvision = to_state_dict(name, variables, names="torchvision")
        assert same(from_state_dict(name, torchvision), variables)


def test_round_trip_of_hrnet_and_its_key_count(narrow):
    variables, state_dict = narrow
    assert len(state_dict) == 1754
    assert same(from_state_dict("hrnet_w4", state_dict), variables)
    assert state_dict["stage4.2.fuse_layers.0.3.0.weight"].shape == (4, 32, 1, 1)
    assert state_dict["bn1.num_batches_tracked"].dtype == np.int64


@pytest.mark.parametrize(
    "attributes",
    [
        dict(stem_block="basic", stem_blocks=1, stage_modules=(1, 1), blocks_per_branch=1),
        dict(stem_blocks=2, stage_modules=(2, 2), blocks_per_branch=2),
        dict(stage_modules=(1, 3), blocks_per_branch=3, all_scales=True),
    ],
)
def test_the_name_table_covers_every_configuration_of_hrnet(attributes):
    model = HRNet(width=4, num_joints=3, stem_features=(4, 4), **attributes)
    abstract = abstract_variables(model)
    variables = random_like(abstract)
    mapping = to_mapping("hrnet", hrnet(model), variables)
    found, report = to_variables("hrnet", hrnet(model), abstract, mapping)
    assert same(found, variables)
    assert not report.unmatched and not report.initial and not report.cast


def test_the_multi_scale_names_are_the_originals(shared):
    """The layout of TDMI's state dict holds the multi-scale HRNet under "hrnet."."""
    rows = (line.split("\t") for line in (shared / "golden/layouts/tdmi_dtdmnrv15_2.tsv").read_text().splitlines())
    layout = {key[6:]: tuple(json.loads(shape)) for key, shape, *_ in rows if key.startswith("hrnet.")}
    model = published_model("hrnet_w48_all_scales")
    leaves = {path: leaf.shape for path, leaf in flatten(abstract_variables(model))}
    ours = {entry.key: entry.shape for entry in entries(name_table(model), leaves)}
    counters = {key for key in layout if key.endswith("num_batches_tracked")}
    assert ours == {key: shape for key, shape in layout.items() if key not in counters}
    assert counters == {key.replace("running_var", "num_batches_tracked") for key in ours if "running_var" in key}


def test_the_multi_scale_form_adds_keys_and_keeps_the_rest(narrow):
    state_dict = narrow[1]
    with pytest.raises(WeightsError) as caught:
        from_state_dict("hrnet_w4_all_scales", state_dict)
    missing = caught.value.missing
    assert missing and not caught.value.unexpected and not caught.value.misshapen
    assert all(re.match(r"stage4\.2\.fuse_layers\.[123]\.", key) for key in missing)


def test_the_number_of_joints_is_that_of_the_head(narrow):
    state_dict = dict(narrow[1])
    state_dict["final_layer.weight"] = state_dict["final_layer.weight"][:16]
    state_dict["final_layer.bias"] = state_dict["final_layer.bias"][:16]
    assert from_state_dict("hrnet_w4", state_dict)["params"]["final_layer"]["kernel"].shape == (1, 1, 4, 16)


@pytest.mark.parametrize("prefix", ["", "module.", "module.module."])
@pytest.mark.parametrize("wrapper", [None, "state_dict", "model_state_dict", "model"])
def test_wrappers_are_taken_off(narrow, prefix, wrapper):
    variables, state_dict = narrow
    mapping = {prefix + key: value for key, value in state_dict.items()}
    mapping = {"epoch": 3, wrapper: mapping} if wrapper else mapping
    assert set(unwrap(mapping)) == set(state_dict)
    if wrapper == "state_dict":
        assert same(from_state_dict("hrnet_w4", mapping), variables)


def test_every_fault_is_named_at_once(narrow):
    state_dict = dict(narrow[1])
    for key in ("conv1.weight", "stage3.2.branches.1.3.bn2.running_var"):
        del state_dict[key]
    state_dict["classifier.weight"] = np.zeros((10, 5), np.float32)
    state_dict["final_layer.bias"] = np.zeros(5, np.float32)
    with pytest.raises(WeightsError) as caught:
        from_state_dict("hrnet_w4", state_dict)
    error = caught.value
    assert error.missing == ("conv1.weight", "stage3.2.branches.1.3.bn2.running_var")
    assert error.unexpected == ("classifier.weight",)
    assert error.misshapen == (("final_layer.bias", (5,), (17,)),)
    for text in (*error.missing, *error.unexpected, "final_layer.bias [5] instead of [17]", "hrnet_w4"):
        assert text in str(error)
    assert "\n" not in str(error) and isinstance(error, InputError)


def test_a_checkpoint_of_another_width_is_refused(narrow):
    with pytest.raises(WeightsError, match=r"transition1.0.0.weight \[4, 256, 3, 3\] instead of \[8, 256, 3, 3\]"):
        from_state_dict("hrnet_w8", narrow[1])


def test_a_checkpoint_of_another_model_is_refused(narrow):
    with pytest.raises(WeightsError, match="missing: fnet.conv1.weight"):
        from_state_dict("raft", narrow[1])


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_other_float_types_are_cast_and_reported(narrow, dtype, caplog):
    state_dict = {k: v if v.dtype == np.int64 else v.astype(dtype) for k, v in narrow[1].items()}
    variables, report = convert_state_dict("hrnet_w4", state_dict)
    assert {str(leaf.dtype) for _, leaf in flatten(variables)} == {"float32"}
    assert len(report.cast) == len(report.matched) and report.cast[0][1] == np.dtype(dtype).name
    np.testing.assert_array_equal(
        variables["params"]["final_layer"]["bias"], state_dict["final_layer.bias"].astype(np.float32)
    )
    assert "cast to float32" in caplog.text


def test_a_partial_conversion_keeps_initial_values_and_reports(narrow):
    state_dict = {key: value for key, value in narrow[1].items() if not key.startswith("final_layer")}
    state_dict["fc.weight"] = np.zeros((1000, 4), np.float32)
    variables, report = convert_state_dict("hrnet_w4", state_dict, partial=True)
    assert report.initial == ("final_layer.weight", "final_layer.bias")
    assert report.unmatched == ("fc.weight",)
    assert 0 < np.abs(variables["params"]["final_layer"]["kernel"]).max() < 0.01
    kernel = variables["params"]["conv1"]["conv"]["kernel"]
    np.testing.assert_array_equal(kernel, state_dict["conv1.weight"].transpose(2, 3, 1, 0))
    with pytest.raises(WeightsError, match="misshapen"):
        convert_state_dict("hrnet_w8", state_dict, partial=True)


def test_the_second_name_of_a_shortcuts_normalisation_may_be_absent():
    variables = {"params": {}, "batch_stats": {}} | random_like(abstract_variables(RAFT(size="basic")))
    state_dict = to_state_dict("raft", variables)
    assert np.array_equal(state_dict["cnet.layer2.0.norm3.weight"], state_dict["cnet.layer2.0.downsample.1.weight"])
    without = {key: value for key, value in state_dict.items() if ".norm3." not in key}
    assert len(without) == len(state_dict) - 10
    assert same(from_state_dict("raft", without), variables)


def test_torchvision_names_equal_the_published_list(shared):
    for size in ("basic", "small"):
        rows = (shared / "golden" / "layouts" / f"raft_{size}_torchvision.tsv").read_text().splitlines()
        for row in rows:
            torchvision, _, princeton = row.split("\t")
            assert torchvision_name(princeton) == torchvision


def test_variables_of_another_model_are_refused(narrow):
    with pytest.raises(InputError, match="not those of raft_small"):
        to_state_dict("raft_small", narrow[0])
    with pytest.raises(InputError, match=r"not those of hrnet_w8: .*branch0.* is \[.*\], in hrnet_w8 it is \["):
        to_state_dict("hrnet_w8", narrow[0])
    with pytest.raises(InputError, match="torchvision"):
        to_state_dict("hrnet_w4", narrow[0], names="torchvision")


@pytest.mark.parametrize("name", ["hrnet", "hrnet_w0", "simple_baseline_r34", "raft_large", "vgg"])
def test_unknown_models_are_named(name):
    with pytest.raises(InputError, match=f"{name}.*known are"):
        from_state_dict(name, {})


def test_an_incomplete_name_table_is_noticed():
    with pytest.raises(ValueError, match="params/b/kernel"):
        entries(
            [Layer("a", ("a",), "conv")], {("params", "a", "kernel"): (1, 1, 2, 3), ("params", "b", "kernel"): (1,)}
        )


@pytest.mark.parametrize("kind", ["conv", "conv_transpose", "plain"])
def test_axes_move_there_and_back(kind):
    value = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    np.testing.assert_array_equal(to_torch(kind, to_flax(kind, value)), value)


def test_heads_are_remapped_from_coco_to_posetrack(narrow):
    variables = narrow[0]
    head = variables["params"]["final_layer"]
    assert same(remap_head(variables, "posetrack17"), variables)
    remapped = remap_head(variables, "posetrack15")
    rows = [16, 14, 12, 11, 13, 15, 10, 8, 6, 5, 7, 9, 1, 0, 2]
    np.testing.assert_array_equal(remapped["params"]["final_layer"]["kernel"], head["kernel"][..., rows])
    np.testing.assert_array_equal(remapped["params"]["final_layer"]["bias"], head["bias"][rows])
    assert remapped["params"]["conv1"] is variables["params"]["conv1"]
    with pytest.raises(InputError, match="17 heatmaps"):
        remap_head(remapped, "posetrack15")
    with pytest.raises(InputError, match="posetrack15"):
        remap_head(variables, "posetrack99")
    with pytest.raises(InputError, match="none"):
        remap_head({"params": {}}, "posetrack15")
