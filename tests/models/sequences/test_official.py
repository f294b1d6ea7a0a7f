"""HANet, DeciWatch and SmoothNet beside the published code: outputs, intermediate values, and the way back."""

import re

import jax
import numpy as np
import pytest

from jmpose_jax.losses.sequences import DeciWatchObjective, HANetObjective, SmoothNetObjective
from jmpose_jax.models.sequences.deciwatch import DeciWatch
from jmpose_jax.models.sequences.hanet import HANet
from jmpose_jax.models.sequences.sampling import seen_frames
from jmpose_jax.models.sequences.transformer import sine_positions
from jmpose_jax.records import SequenceBatch, SequenceOutput
from jmpose_jax.train.step import weighted_total
from jmpose_jax.weights import from_state_dict, to_state_dict
from jmpose_jax.weights.sequences import module_of_file


def said(case, pattern):
    """What the golden's notes say of the model, e.g. interval=5."""
    return re.search(pattern, case.spec["notes"])[1]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hanet_jhmdb", "hanet_pw3d"])
def test_hanet_equals_the_published_code(official, name):
    case = official(name)
    model = module_of_file("hanet", case.state_dict).clone(interval=int(said(case, r"interval=(\d+)")))
    assert model.pre_norm == (said(case, r"pre_norm=(\w+)") == "True") and model.width == int(said(case, r" D=(\d+)"))
    variables = from_state_dict("hanet", case.state_dict)
    poses = case.input("x")
    found, kept = model.apply(variables, poses, capture_intermediates=True, mutable=["intermediates"])
    case.check("final", found.poses)
    case.check("reco", found.encoder_poses)
    last = model.encoder_layers - 1
    for output, layer in (("enc0", "encoder0"), (f"enc{last}", f"encoder{last}")):
        case.check(output, kept["intermediates"][layer]["__call__"][0])
    case.check("pos_embed0", sine_positions(poses.shape[1], model.width))
    literal = model.clone(key_padding="added")
    case.check("final_intmask", literal.apply(variables, poses).poses)


@pytest.mark.parametrize("name", ["deciwatch_jhmdb", "deciwatch_pw3d"])
def test_deciwatch_equals_the_published_code(official, name):
    case = official(name)
    model = module_of_file("deciwatch", case.state_dict).clone(interval=int(said(case, r"interval (\d+)")))
    assert model.pre_norm == (said(case, r"pre_norm=(\w+)") == "True")
    variables = from_state_dict("deciwatch", case.state_dict)
    found = jax.jit(model.apply)(variables, case.input("x"))
    case.check("recover", found.poses)
    case.check("denoise", found.encoder_poses)
    case.check("recover_intmask", jax.jit(model.clone(key_padding="added").apply)(variables, case.input("x")).poses)


@pytest.mark.parametrize("name", ["smoothnet_h36m", "smoothnet_pw3d"])
def test_smoothnet_equals_the_published_code(official, name):
    case = official(name)
    model = module_of_file("smoothnet", case.state_dict)
    found = jax.jit(model.apply)(from_state_dict("smoothnet", case.state_dict), case.input("x"))
    case.check("y", found.poses)


def batch_of(case):
    """The golden's truth; the losses are computed from outputs that the golden keeps."""
    target = case.input("gt")
    size, length = target.shape[:2]
    ones = np.ones(size, np.float32)
    labelled = np.ones((size, length), np.float32)
    return SequenceBatch(case.input("x"), target, labelled, np.arange(size), ones)


def total_of(objective, output, batch):
    return weighted_total(objective(output, batch), {k: np.float32(v) for k, v in objective.term_weights().items()})


@pytest.mark.parametrize("name", ["hanet_jhmdb", "hanet_pw3d"])
def test_the_loss_of_hanet(official, name):
    case = official(name)
    spatial = float(said(case, r"lamada=([\d.]+)"))
    batch = batch_of(case)
    seen = seen_frames(batch.target.shape[1], int(said(case, r"interval=(\d+)"))).astype(np.float32)
    output = SequenceOutput(case.arrays["final"], case.arrays["reco"], seen)
    weights = {"spatial": spatial, "temporal": 1.0, "mutual": 1.0, "hard": 1.0}
    objective = HANetObjective(hard_shares=(spatial, 1.0, 1.0), weights=weights)
    total, _ = total_of(objective, output, batch)
    case.check("final_loss", total)
    plain, _ = total_of(HANetObjective(weights=weights | {"hard": 0.0}), output, batch)
    case.check("l1_loss", plain)


@pytest.mark.parametrize("name", ["deciwatch_jhmdb", "deciwatch_pw3d"])
def test_the_loss_of_deciwatch(official, name):
    case = official(name)
    batch = batch_of(case)
    seen = seen_frames(batch.target.shape[1], int(said(case, r"interval (\d+)"))).astype(np.float32)
    output = SequenceOutput(case.arrays["recover"], case.arrays["denoise"], seen)
    denoised, recovered = (float(said(case, rf"{key}=([\d.]+)")) for key in ("w_denoise", "lamada"))
    total, _ = total_of(DeciWatchObjective({"recovered": recovered, "denoised": denoised}), output, batch)
    case.check("loss", total)


@pytest.mark.parametrize("name", ["smoothnet_h36m", "smoothnet_pw3d"])
def test_the_loss_of_smoothnet(official, name):
    case = official(name)
    batch = batch_of(case)
    output = SequenceOutput(case.arrays["y"], case.arrays["y"], np.ones(batch.target.shape[1], np.float32))
    acceleration, position = (float(said(case, rf"{key}=([\d.]+)")) for key in ("w_accel", "w_pos"))
    total, _ = total_of(SmoothNetObjective({"position": position, "acceleration": acceleration}), output, batch)
    case.check("loss", total)


@pytest.mark.parametrize("model", ["smoothnet_pw3d", "deciwatch_jhmdb", "deciwatch_pw3d"])
def test_the_way_back_gives_every_key(official, model):
    case, name = official(model), model.split("_")[0]
    back = to_state_dict(name, from_state_dict(name, case.state_dict))
    assert back.keys() == case.state_dict.keys()
    assert all(np.array_equal(back[key], case.state_dict[key]) for key in back)


@pytest.mark.parametrize("keep_unused", [False, True])
@pytest.mark.parametrize("pre_norm", [False, True])
def test_what_nobody_reads_is_left_or_kept(random_variables, keep_unused, pre_norm):
    model = HANet(4, 8, encoder_layers=2, decoder_layers=1, pre_norm=pre_norm, keep_unused=True)
    variables = random_variables(model, np.zeros((1, 6, 4), np.float32))
    state_dict = to_state_dict("hanet", variables)
    unread = [key for key in state_dict if "projection.1" in key or "encoder_norm" in key]
    assert len(unread) == (6 if pre_norm else 2)
    slim = from_state_dict("hanet", state_dict)
    again = to_state_dict("hanet", slim)
    assert state_dict.keys() - again.keys() == set(unread)
    assert all(np.array_equal(again[key], state_dict[key]) for key in again)


def test_sizes_are_read_from_the_shapes(random_variables):
    small = DeciWatch(6, 8, interval=2, layers=2, hidden=12, pre_norm=True)
    variables = random_variables(small, np.zeros((1, 3, 6), np.float32))
    found = module_of_file("deciwatch", to_state_dict("deciwatch", variables))
    assert found.clone(interval=2) == small
