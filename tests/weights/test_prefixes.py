"""Prefixes and nesting, alone and combined, around the names of a model."""

import itertools
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jmpose_jax.errors import InputError
from jmpose_jax.weights import convert_state_dict, from_state_dict, published_model, to_state_dict
from jmpose_jax.weights.layers import flatten
from jmpose_jax.weights.models import abstract_variables
from jmpose_jax.weights.prefixes import find, flat, in_common, unwrap

KEYS = [f"layer{i}.{j}.conv{k}.weight" for i, j, k in itertools.product((1, 2), (0, 1), (1, 2))]
KEYS += ["conv1.weight", "bn1.bias", "final_layer.weight", "final_layer.bias"]
NAMES = {key: key for key in KEYS}
PREFIXES = ["module", "_orig_mod", "model", "backbone", "ema", "state_dict", "net", "student", "teacher", "anything"]


def tensors(start=0.0):
    return {key: np.full((2, 3), start + i) for i, key in enumerate(KEYS)}


def wrapped(inner, parts, nested):
    """The tensors with parts before their keys, each as an entry around them or as text, from the inside out."""
    for part, as_entry in reversed(list(zip(parts, nested))):
        inner = {part: inner} if as_entry else {f"{part}.{key}": value for key, value in inner.items()}
    return inner


def same(found, expected):
    return found.keys() == expected.keys() and all(np.array_equal(found[key], expected[key]) for key in expected)


@given(st.lists(st.tuples(st.sampled_from(PREFIXES), st.booleans()), max_size=5))
def test_any_prefixes_in_any_order_are_taken_off(parts):
    names, nested = [part for part, _ in parts], [as_entry for _, as_entry in parts]
    content = {"epoch": 3, "optimizer": {"state": {0: {"exp_avg": np.ones(3)}}}} | wrapped(tensors(), names, nested)
    found = find(content, NAMES)
    assert same(found.tensors, tensors()) and not found.copies and not found.outside and found.matched == len(KEYS)
    kept = [part for part in names if part not in ("module", "_orig_mod")]
    assert found.prefix == "".join(f"{part}." for part in kept)


@given(st.permutations(["ema", "model", "other"]))
def test_plain_weights_come_before_averaged_ones_unless_asked(order):
    content = {}
    for place in order:
        inner = tensors({"ema": 100, "model": 0, "other": 0}[place])
        content |= {f"{place}.{key}": value for key, value in inner.items()} if place != "other" else {}
    content |= {"ema.decay": np.float32(0.9), "ema.updates": np.int64(7)}
    found = find(content, NAMES)
    assert found.prefix == "model." and found.copies == ("ema.",)
    assert same(found.tensors, tensors()) and not found.outside
    averaged = find(content, NAMES, "ema")
    assert averaged.copies == ("model.",) and same(averaged.tensors, tensors(100))
    assert averaged.ignored == ("ema.decay", "ema.updates")
    with pytest.raises(InputError, match="--prefix=teacher.*'model.'"):
        find(content, NAMES, "teacher")


@pytest.mark.parametrize(
    "name", ["ema", "model_ema", "ema_model", "state_dict_ema", "teacher", "ema_state_dict", "swa"]
)
def test_averaged_weights_beside_unprefixed_ones(name):
    found = find(tensors() | {f"{name}.{key}": value for key, value in tensors(100).items()}, NAMES)
    assert found.prefix == "" and found.copies == (f"{name}.",)
    assert same(found.tensors, tensors()) and not found.outside


def test_averaged_weights_alone_are_taken():
    found = find({"n_averaged": np.int64(3), "ema": {f"module.{k}": v for k, v in tensors().items()}}, NAMES)
    assert found.prefix == "ema." and same(found.tensors, tensors())
    assert found.ignored == ("n_averaged",) and not found.outside


TRAINING = [
    "grads", "optimizer.exp_avg", "optim.exp_avg_sq", "opt_state", "momentum_buffer", "main_grad", "model.gradients",
]  # fmt: skip


@pytest.mark.parametrize("name", TRAINING)
def test_what_a_training_keeps_beside_the_weights_is_never_taken_for_them(name):
    beside = {f"{name}.{key}": value for key, value in tensors(100).items()}
    for prefix in ("", "model.", "weird."):
        weights = {f"{prefix}{key}": value for key, value in tensors().items()}
        for content in (beside | weights, weights | beside):
            found = find(content, NAMES)
            assert found.prefix == prefix and same(found.tensors, tensors()) and not found.doubt
            assert not found.copies and not found.outside and set(found.of_training) == set(beside)
    found = find(beside, NAMES)
    assert f"'{name}.'" in found.doubt and f"--prefix={name}" in found.doubt
    assert same(find(beside, NAMES, name).tensors, tensors(100))


@pytest.mark.parametrize(
    ("plain", "other"),
    [
        ("model", "momentum"), ("encoder", "momentum_encoder"), ("online", "target"), ("backbone", "teacher"),
        ("model", "exponential_moving_average"), ("model", "init_model"), ("model", "best_model"), ("model", "master"),
        ("", "best_model"),
    ],
)  # fmt: skip
def test_the_plain_name_wins_in_any_order(plain, other):
    plain = f"{plain}." if plain else ""
    contents = [(f"{other}.", tensors(100)), (plain, tensors())]
    for order in (contents, contents[::-1]):
        found = find({f"{prefix}{key}": value for prefix, part in order for key, value in part.items()}, NAMES)
        assert found.prefix == plain and found.copies == (f"{other}.",) and not found.doubt
        assert same(found.tensors, tensors())


@pytest.mark.parametrize("two", [("best_model", "init_model"), ("model", "student"), ("ema", "swa"), ("a.b", "a.c")])
def test_copies_whose_names_do_not_tell_are_left_to_the_user(two):
    content = {f"{name}.{key}": value for name in two for key, value in tensors().items()}
    doubt = find(content, NAMES).doubt
    assert all(f"'{name}.'" in doubt and f"--prefix={name}" in doubt for name in two)
    assert not find(content, NAMES, two[1]).doubt


def test_wrappers_within_a_key_are_taken_off():
    content = {key.replace("layer1.", "layer1._orig_mod.module."): value for key, value in tensors().items()}
    assert same(find(content, NAMES).tensors, tensors())


def test_a_head_beside_the_backbone_belongs_to_the_model():
    for outer, head in itertools.product(("", "state_dict."), ("head", "keypoint_head")):
        content = {
            f"{outer}{head if key.startswith('final') else 'backbone'}.{key}": value for key, value in tensors().items()
        }
        content[f"{outer}neck.weight"] = np.ones(3)
        found = find(content, NAMES)
        assert found.prefix == f"{outer}backbone." and same(found.tensors, tensors())
        assert found.outside == (f"{outer}neck.weight",)


def test_parts_of_a_larger_model_are_outside():
    content = {f"pose.{key}": value for key, value in tensors().items()} | {"flow.a.weight": np.ones((2, 2))}
    found = find(content, NAMES)
    assert found.prefix == "pose." and found.outside == ("flow.a.weight",)


def test_nothing_matches():
    found = find({"a.b": np.ones(2), "a.c": np.ones(2)}, NAMES)
    assert (found.matched, found.prefix, found.copies) == (0, "", ())
    assert find({}, NAMES).matched == 0


def test_what_keys_have_in_common():
    assert in_common(["a.b", "a.c", "d"]) == "2 of its 3 keys begin with 'a.'"
    for keys in ([], ["a.b"], ["a", "b"], ["a.b", "c.d"]):
        assert in_common(keys) == ""


def test_flat_leaves_out_what_is_no_tensor():
    value = np.ones(2)
    assert same(flat({"a": {"b": value, 3: value, "c": "text"}, "d": [value], "e": value}), {"a.b": value, "e": value})


@pytest.mark.parametrize("outer", ["state_dict", "model", "network", "ema", "model_ema"])
def test_unwrap_without_a_model(outer):
    assert same(unwrap({outer: {f"_orig_mod.module.{k}": v for k, v in tensors().items()}, "step": 1}), tensors())
    assert same(unwrap({"ema": tensors(100), "state_dict": tensors()}), tensors())


@pytest.fixture(scope="module")
def narrow():
    rng = np.random.default_rng(0)

    def draw(tree):
        if isinstance(tree, dict):
            return {key: draw(value) for key, value in tree.items()}
        return np.abs(rng.standard_normal(tree.shape)).astype(np.float32)

    variables = draw(abstract_variables(published_model("hrnet_w4")))
    return variables, to_state_dict("hrnet_w4", variables)


@pytest.mark.parametrize(
    "parts",
    [
        *([part] for part in ("module", "_orig_mod", "model", "backbone", "ema", "state_dict")),
        ["state_dict", "model", "module", "backbone"],
        ["ema", "_orig_mod", "module"],
        ["module", "_orig_mod", "model", "backbone", "ema", "state_dict"],
    ],
)
@pytest.mark.parametrize("as_entry", [False, True])
def test_a_published_model_is_found(narrow, parts, as_entry):
    variables, state_dict = narrow
    found = from_state_dict("hrnet_w4", wrapped(state_dict, parts, [as_entry] * len(parts)))
    found, expected = dict(flatten(found)), dict(flatten(variables))
    assert found.keys() == expected.keys() and all(np.array_equal(found[k], expected[k]) for k in expected)


def test_variances_below_0_are_named(narrow):
    state_dict = dict(narrow[1])
    state_dict["bn1.running_var"] = -state_dict["bn1.running_var"]
    assert convert_state_dict("hrnet_w4", state_dict)[1].negative == ("bn1.running_var",)


KINDS = ["rename", "drop", "nest", "shape", "value", "text", "prefix", "half"]


@pytest.mark.parametrize("seed", range(60))
def test_any_mutation_gives_finite_variables_or_one_short_line(narrow, seed):
    """Keys renamed, dropped, nested, of other shapes and types, not finite: never another exception."""
    rng, state_dict = random.Random(seed), dict(narrow[1])
    model = rng.choice(["hrnet_w4", "hrnet_w8", "raft_small"])
    # Initial values of an HRNet take seconds to draw.
    partial = model != "hrnet_w4" and rng.random() < 0.5
    for kind in rng.choices(KINDS, k=rng.randrange(4)):
        if kind == "half":
            state_dict = {key: value for key, value in state_dict.items() if key < "m"}
        elif kind == "prefix":
            head = rng.choice(PREFIXES)
            state_dict = {f"{head}.{key}": value for key, value in state_dict.items()}
        for key in rng.sample(sorted(state_dict), min(3, len(state_dict))):
            if kind in ("rename", "nest", "drop"):
                value = state_dict.pop(key)
                state_dict |= {"rename": {f"{key}\n{'x' * 300}": value}, "nest": {"other": {key: value}}}.get(kind, {})
            elif kind in ("shape", "value", "text"):
                broken = np.full(np.shape(state_dict[key]), rng.choice([np.nan, np.inf, 1e300]))
                state_dict[key] = {"shape": np.ones((1, 2)), "value": broken, "text": "text"}[kind]
    try:
        found, _ = convert_state_dict(model, state_dict, partial=partial)
    except InputError as error:
        assert len(str(error)) <= 600 and "\n" not in str(error)
    else:
        assert model == "hrnet_w4" and all(np.isfinite(leaf).all() for _, leaf in flatten(found))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "bool", "complex64", "int64"])
def test_weights_that_are_no_floating_point_numbers_are_refused(narrow, dtype):
    state_dict = dict(narrow[1])
    for key in ("conv1.weight", "bn1.bias"):
        state_dict[key] = state_dict[key].astype(dtype)
    with pytest.raises(InputError, match=f"2 of 1462 tensors.*conv1.weight of {dtype}"):
        convert_state_dict("hrnet_w4", state_dict)


def test_tensors_of_the_training_are_left_and_named_and_others_need_partial(narrow):
    state_dict = narrow[1]
    more = {"optimizer.exp_avg.3": np.ones(4), "loss.weight": np.ones(15), "grads": {"conv1.weight": np.ones(2)}}
    report = convert_state_dict("hrnet_w4", state_dict | more)[1]
    assert report.of_training == ("optimizer.exp_avg.3", "loss.weight", "grads.conv1.weight") and not report.unmatched
    with pytest.raises(InputError, match="--partial.*1 unexpected: other"):
        convert_state_dict("hrnet_w4", state_dict | {"other": np.ones(15)})
    assert convert_state_dict("hrnet_w4", state_dict | {"other": np.ones(15)}, partial=True)[1].unmatched == ("other",)
