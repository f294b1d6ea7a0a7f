import json
import os
import pickle
import re
import subprocess
import sys

import numpy as np
import pytest
from absl import flags as absl_flags
from safetensors.numpy import save_file

from experiments.convert import convert, main, reverse
from jmpose_jax.errors import InputError
from jmpose_jax.models import DeciWatch
from jmpose_jax.train.checkpoints import checkpointer, save_variables
from jmpose_jax.train.trained import load_model, load_variables
from jmpose_jax.weights import WeightsError, load_torch, published_model, save_torch, to_state_dict
from jmpose_jax.weights.models import abstract_variables


def random_like(abstract, rng):
    if isinstance(abstract, dict):
        return {key: random_like(value, rng) for key, value in abstract.items()}
    return rng.standard_normal(abstract.shape).astype(np.float32)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A state dict of an HRNet of width 4, and its file."""
    variables = random_like(abstract_variables(published_model("hrnet_w4")), np.random.default_rng(0))
    state_dict = to_state_dict("hrnet_w4", variables)
    path = tmp_path_factory.mktemp("published") / "hrnet.pth"
    save_torch(path, state_dict)
    return state_dict, path


@pytest.fixture(scope="module")
def converted(checkpoint, tmp_path_factory):
    """The folder of the converted file; not to be written into."""
    folder = tmp_path_factory.mktemp("converted") / "out"
    convert("hrnet_w4", checkpoint[1], folder)
    return folder


def test_there_and_back_to_the_bit(checkpoint, tmp_path):
    state_dict, path = checkpoint
    report = convert("hrnet_w4", path, tmp_path / "converted")
    account = json.loads((tmp_path / "converted" / "convert.json").read_text())
    counters = [key for key in state_dict if key.endswith("num_batches_tracked")]
    assert set(account["matched"]) == set(report.matched) == set(state_dict) - set(counters)
    assert set(account["ignored"]) == set(counters)
    assert account["unmatched"] == account["initial"] == [] and account["cast_to_float32"] == {}

    config, model, variables = load_model(tmp_path / "converted")
    assert config["source"] == {"model": "hrnet_w4", "file": "hrnet.pth", "head": "coco17"}
    assert model.backbone["width"] == 4 and model.backbone["num_joints"] == 17
    assert set(variables["params"]) == {"backbone"}

    for name in ("back.pth", "back.safetensors"):
        reverse("hrnet_w4", tmp_path / "converted", tmp_path / name)
        back = load_torch(tmp_path / name)
        assert set(back) == set(state_dict)
        assert all(np.array_equal(back[key], state_dict[key]) for key in state_dict)


def test_a_head_of_fifteen_joints(checkpoint, tmp_path):
    state_dict, path = checkpoint
    convert("hrnet_w4", path, tmp_path / "converted", head="posetrack15")
    config, variables = load_variables(tmp_path / "converted")
    assert config["model"]["backbone"]["num_joints"] == 15
    bias = variables["params"]["backbone"]["final_layer"]["bias"]
    np.testing.assert_array_equal(bias[:2], state_dict["final_layer.bias"][[16, 14]])
    # And back: a state dict of 15 joints, which is then converted as it is.
    back = reverse("hrnet_w4", tmp_path / "converted", tmp_path / "back.pth")
    assert back["final_layer.weight"].shape == (15, 4, 1, 1)
    convert("hrnet_w4", tmp_path / "back.pth", tmp_path / "again")
    config, again = load_variables(tmp_path / "again")
    assert config["source"]["head"] == "the file's 15 joints"
    np.testing.assert_array_equal(again["params"]["backbone"]["final_layer"]["bias"], bias)


def test_raft_becomes_a_checkpoint_of_its_own(tmp_path):
    variables = random_like(abstract_variables(published_model("raft_small")), np.random.default_rng(0))
    torchvision = to_state_dict("raft_small", variables, names="torchvision")
    save_torch(tmp_path / "raft.safetensors", torchvision)
    convert("raft_small", tmp_path / "raft.safetensors", tmp_path / "converted")
    config, _ = load_variables(tmp_path / "converted")
    assert config["model"] == {"name": "raft", "size": "small"} and config["source"]["head"] == "none"
    back = reverse("raft_small", tmp_path / "converted", tmp_path / "back.pth", names="torchvision")
    assert all(np.array_equal(back[key], torchvision[key]) for key in torchvision)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--model=hrnet_w8", "--torch={file}", "--output={out}"], "misshapen"),
        (["--model=vgg", "--torch={file}", "--output={out}"], "'vgg'"),
        (["--model=hrnet_w4", "--torch={out}.pth", "--output={out}"], "No such file"),
        (["--model=hrnet_w4", "--output={out}"], "--torch is missing"),
        ([], "--model and --torch and --output are missing"),
        (["--reverse"], "--model and --checkpoint and --output are missing"),
        (["--model=hrnet_w4", "--reverse", "--checkpoint={file}", "--output={out}"], ".pth"),
        (["--model=hrnet_w4", "--torch={file}", "--output={file}/below"], "hrnet.pth"),
        (["--model=hrnet_w4", "--torch={file}", "--output={out}", "--prefix=ema"], "--prefix=ema"),
        (["--model=hrnet_w4", "--reverse", "--output={out}.pth"], "--checkpoint is missing"),
        (["--model=hrnet_w4", "--reverse", "--checkpoint={out}", "--output={out}.pth"], "does not exist"),
        (["--model=hrnet_w4", "--torch={file}", "--output={file}"], "is a file"),
        (["--model=hrnet_w4", "--torch={file}", "--output={out}", "--head=mpii"], "--head"),
    ],
)
def test_faults_end_with_status_2_one_line_and_nothing_written(checkpoint, tmp_path, capsys, flags, message):
    filled = [flag.format(file=checkpoint[1], out=tmp_path / "out") for flag in flags]
    code, _, lines = command(capsys, *filled)
    assert code == 2
    assert message in lines[-1] and lines[-1].startswith("jmpose convert: ")
    assert not list(tmp_path.iterdir())


def command(capsys, *flags):
    """The command's status, its output, and the lines on standard error."""
    saved = absl_flags.FLAGS.__dict__.copy()
    known = set(absl_flags.FLAGS)
    code = 0
    try:
        main(["jmpose convert", *map(str, flags)])
    except SystemExit as caught:
        code = caught.code
    finally:
        for name in set(absl_flags.FLAGS) - known:
            delattr(absl_flags.FLAGS, name)
        absl_flags.FLAGS.__dict__.update(saved)
    out, err = capsys.readouterr()
    return code, out, err.strip().splitlines()


class Bomb:
    """Unpickled by Python, it would make a folder."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize(
    ("name", "message"), [("truncated.pth", "truncated|cut short|incomplete|damaged"), ("bomb.pth", "refused")]
)
def test_damaged_and_hostile_files_as_a_user_meets_them(checkpoint, tmp_path, name, message):
    """The command in a process of its own: status 2, one line that names the file, nothing written, nothing run."""
    _, path = checkpoint
    content = path.read_bytes()
    if name == "truncated.pth":
        (tmp_path / name).write_bytes(content[: len(content) // 2])
    else:
        (tmp_path / name).write_bytes(pickle.dumps({"state_dict": {"conv1.weight": Bomb(tmp_path / "victim")}}))
    command = [sys.executable, "-m", "experiments.cli", "convert", "--model=hrnet_w4"]
    command += [f"--torch={tmp_path / name}", f"--output={tmp_path / 'out'}"]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 2 and len(lines) == 1, done.stderr
    assert lines[0].startswith("jmpose convert: ") and name in lines[0] and re.search(message, lines[0])
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_half_precision_is_cast_and_said(checkpoint, tmp_path):
    state_dict, _ = checkpoint
    halves = {k: v.astype(np.float16) if v.dtype == np.float32 else v for k, v in state_dict.items()}
    save_file(halves, tmp_path / "half.safetensors")
    report = convert("hrnet_w4", tmp_path / "half.safetensors", tmp_path / "out")
    account = json.loads((tmp_path / "out" / "convert.json").read_text())
    assert set(account["cast_to_float32"]) == set(report.matched)
    assert set(account["cast_to_float32"].values()) == {"float16"}
    bias = load_variables(tmp_path / "out")[1]["params"]["backbone"]["final_layer"]["bias"]
    assert bias.dtype == np.float32
    np.testing.assert_array_equal(bias, halves["final_layer.bias"].astype(np.float32))


def test_a_folder_in_the_way_of_the_output_is_named(checkpoint, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        convert("hrnet_w4", checkpoint[1], tmp_path / "file")


def test_a_trainings_checkpoints_are_left_alone(checkpoint, tmp_path):
    with checkpointer(tmp_path / "run") as manager:
        manager.save_checkpointables(7, {"variables": {"params": {"a": np.ones(2)}}}, custom_metadata={"config": {}})
    with pytest.raises(InputError, match="run holds the checkpoints of a training"):
        convert("hrnet_w4", checkpoint[1], tmp_path / "run")
    assert load_variables(tmp_path / "run")[1]["params"].keys() == {"a"}


def test_the_flow_network_of_a_trained_model_is_written_too(tmp_path):
    network = random_like(abstract_variables(published_model("raft_small")), np.random.default_rng(0))
    params = {"backbone": {"kernel": np.ones(2, np.float32)}, "flow_network": network["params"]}
    save_variables(tmp_path / "jmpose", {"params": params, "batch_stats": {}}, {"model": {"name": "jmpose"}})
    back = reverse("raft_small", tmp_path / "jmpose", tmp_path / "raft.pth")
    expected = to_state_dict("raft_small", network)
    assert set(back) == set(expected) and all(np.array_equal(back[key], expected[key]) for key in expected)


def test_an_earlier_result_is_refused_numbered_or_replaced(checkpoint, tmp_path, capsys):
    state_dict, path = checkpoint
    out = tmp_path / "out"
    flags = ["--model=hrnet_w4", f"--torch={path}", f"--output={out}"]
    assert command(capsys, *flags)[0] == 0
    before = (out / "convert.json").read_bytes()
    code, _, lines = command(capsys, *flags)
    assert code == 2 and len(lines) == 1 and str(out) in lines[0] and "--if_exists" in lines[0]
    assert command(capsys, *flags, "--if_exists=number")[1].startswith(f"{out}-2: ")
    (out / "note.txt").write_text("mine")
    (out / "convert.json").write_text("")
    assert command(capsys, *flags, "--if_exists=replace")[0] == 0
    assert (out / "convert.json").read_bytes() == before and (out / "note.txt").read_text() == "mine"
    assert sorted(p.name for p in out.iterdir()) == ["checkpoints", "checkpoints.json", "convert.json", "note.txt"]
    assert load_model(out)[1].backbone["width"] == 4

    back = tmp_path / "back.pth"
    flags = ["--model=hrnet_w4", "--reverse", f"--checkpoint={out}", f"--output={back}"]
    assert command(capsys, *flags)[0] == 0
    code, _, lines = command(capsys, *flags)
    assert code == 2 and len(lines) == 1 and str(back) in lines[0]
    assert command(capsys, *flags, "--if_exists=number")[0] == 0
    assert set(load_torch(tmp_path / "back-2.pth")) == set(state_dict)


def test_an_input_is_never_replaced(checkpoint, tmp_path):
    (tmp_path / "out" / "checkpoints").mkdir(parents=True)
    inside = tmp_path / "out" / "checkpoints" / "hrnet.pth"
    inside.write_bytes(checkpoint[1].read_bytes())
    with pytest.raises(InputError, match="would replace"):
        convert("hrnet_w4", inside, tmp_path / "out")
    assert inside.is_file()


def test_a_fault_on_the_way_leaves_nothing(checkpoint, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("experiments.convert.write_json", full)
    with pytest.raises(OSError):
        convert("hrnet_w4", checkpoint[1], tmp_path / "a" / "out")
    assert list(tmp_path.iterdir()) == []


def one_line(error, path):
    return str(path) in str(error) and "\n" not in str(error) and len(str(error)) - len(str(path)) <= 600


@pytest.mark.parametrize("partial", [False, True])
@pytest.mark.parametrize("model", ["hrnet_w8", "raft", "simple_baseline_r50", "hrnet_w4_all_scales"])
def test_a_wrong_model_is_refused_in_a_short_line_that_names_the_right_one(checkpoint, tmp_path, model, partial):
    if partial and model == "hrnet_w4_all_scales":
        return  # most of its keys are there
    with pytest.raises(WeightsError, match="hrnet_w4 .*--model=hrnet_w4") as caught:
        convert(model, checkpoint[1], tmp_path / "out", partial=partial)
    assert one_line(caught.value, checkpoint[1])
    assert len(caught.value.missing) + len(caught.value.misshapen) > 50 and not list(tmp_path.iterdir())


@pytest.mark.parametrize("partial", [False, True])
def test_a_file_of_another_naming_is_refused_with_what_its_keys_have_in_common(checkpoint, tmp_path, partial):
    renamed = {f"encoder.{key.replace('.', '_')}": value for key, value in checkpoint[0].items()}
    save_torch(tmp_path / "renamed.pth", renamed)
    with pytest.raises(
        WeightsError, match=r"0 of the model's 1462 keys.*1754 of its 1754 keys begin with 'encoder\.'"
    ) as caught:
        convert("hrnet_w4", tmp_path / "renamed.pth", tmp_path / "out", partial=partial)
    assert one_line(caught.value, tmp_path / "renamed.pth")
    assert len(caught.value.missing) == 1462 and not (tmp_path / "out").exists()


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_weights_that_are_not_finite_are_refused_both_ways(checkpoint, converted, tmp_path, value):
    state_dict = {key: np.array(array) for key, array in checkpoint[0].items()}
    for key in ("conv1.weight", "bn1.running_var"):
        state_dict[key].flat[3] = value
    save_torch(tmp_path / "broken.pth", state_dict)
    for partial in (False, True):
        with pytest.raises(InputError, match="2 of 1462 tensors.*conv1.weight, bn1.running_var") as caught:
            convert("hrnet_w4", tmp_path / "broken.pth", tmp_path / "out", partial=partial)
        assert one_line(caught.value, tmp_path / "broken.pth") and not (tmp_path / "out").exists()

    config, variables = load_variables(converted)
    variables["params"]["backbone"]["final_layer"]["bias"] = np.full(17, value, np.float32)
    save_variables(tmp_path / "diverged", variables, config)
    with pytest.raises(InputError, match="final_layer.bias") as caught:
        reverse("hrnet_w4", tmp_path / "diverged", tmp_path / "back.pth")
    assert one_line(caught.value, tmp_path / "diverged") and not (tmp_path / "back.pth").exists()


def test_which_of_two_copies_was_taken_is_said(checkpoint, tmp_path, capsys):
    state_dict, _ = checkpoint
    both = {f"ema.module.{key}": value + 1 for key, value in state_dict.items()}
    both |= {f"model.{key}": value for key, value in state_dict.items()}
    save_torch(tmp_path / "both.pth", both)
    for prefix, bias in (("model.", state_dict["final_layer.bias"]), ("ema.", state_dict["final_layer.bias"] + 1)):
        out = tmp_path / prefix.strip(".")
        flags = ["--model=hrnet_w4", f"--torch={tmp_path / 'both.pth'}", f"--output={out}"]
        code, said, lines = command(capsys, *flags, *([] if prefix == "model." else [f"--prefix={prefix}"]))
        assert code == 0 and f"{prefix!r} taken" in said and "0 unmatched" in said, lines
        assert json.loads((out / "convert.json").read_text())["prefix"] == prefix
        found = load_variables(out)[1]["params"]["backbone"]["final_layer"]["bias"]
        np.testing.assert_array_equal(found, bias)


@pytest.mark.parametrize("names", [("grads",), ("optimizer.exp_avg",), ("best", "other")])
def test_no_weights_or_several_of_them_are_refused_with_a_way_out(checkpoint, tmp_path, capsys, names):
    state_dict, _ = checkpoint
    save_torch(tmp_path / "several.pth", {f"{name}.{key}": v for name in names for key, v in state_dict.items()})
    flags = ["--model=hrnet_w4", f"--torch={tmp_path / 'several.pth'}", f"--output={tmp_path / 'out'}"]
    code, _, lines = command(capsys, *flags)
    assert code == 2 and "several.pth" in lines[-1] and not (tmp_path / "out").exists()
    assert all(f"'{name}.'" in lines[-1] and f"--prefix={name}" in lines[-1] for name in names)
    assert command(capsys, *flags, f"--prefix={names[-1]}")[0] == 0


def test_gradients_before_the_weights_are_left_and_said(checkpoint, tmp_path, capsys):
    state_dict, _ = checkpoint
    content = {f"grads.{key}": value + 1 for key, value in state_dict.items()}
    save_torch(tmp_path / "both.pth", content | {f"model.{key}": value for key, value in state_dict.items()})
    flags = ["--model=hrnet_w4", f"--torch={tmp_path / 'both.pth'}", f"--output={tmp_path / 'out'}"]
    code, said, _ = command(capsys, *flags)
    assert code == 0 and "'model.' taken" in said and "1462 tensors of the training, such as grads.conv1.weight" in said
    found = load_variables(tmp_path / "out")[1]["params"]["backbone"]["final_layer"]["bias"]
    np.testing.assert_array_equal(found, state_dict["final_layer.bias"])


def test_a_network_of_sequences_is_converted_in_its_own_size(tmp_path):
    module = DeciWatch(6, 8, layers=1, hidden=12, pre_norm=True)
    state_dict = to_state_dict("deciwatch", random_like(abstract_variables(module), np.random.default_rng(0)))
    save_torch(tmp_path / "deciwatch.pth", {f"module.{key}": value for key, value in state_dict.items()})
    convert("deciwatch", tmp_path / "deciwatch.pth", tmp_path / "converted")
    config, variables = load_variables(tmp_path / "converted")
    options = dict(config["model"])
    assert options.pop("name") == "deciwatch" and DeciWatch(**options) == module
    reverse("deciwatch", tmp_path / "converted", tmp_path / "back.safetensors")
    back = load_torch(tmp_path / "back.safetensors")
    assert back.keys() == state_dict.keys() and all(np.array_equal(back[key], state_dict[key]) for key in back)
