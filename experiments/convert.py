"""`jmpose convert`: a published PyTorch checkpoint to a checkpoint of ours, or back.

jmpose convert --model hrnet_w48 --torch pose_hrnet_w48_384x288.pth --output runs/hrnet_w48
jmpose convert --model hrnet_w48 --reverse --checkpoint runs/hrnet_w48 --output hrnet_w48.pth
"""

import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from absl import flags

from experiments.launch import launch
from jmpose_jax.errors import InputError
from jmpose_jax.models.hrnet import HRNet
from jmpose_jax.models.raft import RAFT
from jmpose_jax.train import checkpoints
from jmpose_jax.weights import (
    Report,
    convert_state_dict,
    load_torch,
    published_model,
    remap_head,
    save_torch,
    to_state_dict,
)

REPORT = "convert.json"


def convert(
    model: str,
    torch: str | os.PathLike,
    output: str | os.PathLike,
    *,
    head: str = "coco17",
    partial: bool = False,
    seed: int = 0,
) -> Report:
    """Write a checkpoint and `convert.json` from a PyTorch checkpoint.

    Args:
      model: name of the published model.
      torch: the PyTorch checkpoint.
      output: folder of the checkpoint.
      head: joints of the pose network that is written.
      partial: see `weights.convert_state_dict`.
      seed: see `weights.convert_state_dict`.

    Returns:
      What became of every key.

    Raises:
      InputError: the model is unknown, or the file is unreadable or does not fit.
    """
    published_model(model)
    folder = pathlib.Path(output)
    _check_folder(folder)
    variables, report = convert_state_dict(model, load_torch(torch), partial=partial, seed=seed)
    if head != "coco17":
        variables = remap_head(variables, head)
    head = _joints_of(variables, head)
    config, variables = _as_model(model, variables)
    config["source"] = {"model": model, "file": pathlib.Path(torch).name, "head": head}
    checkpoints.save_variables(folder, variables, config)
    content = {
        "model": model,
        "file": pathlib.Path(torch).name,
        "head": head,
        "matched": report.matched,
        "unmatched": report.unmatched,
        "initial": report.initial,
        "ignored": report.ignored,
        "cast_to_float32": dict(report.cast),
    }
    temporary = folder / f".{REPORT}.tmp"
    temporary.write_text(json.dumps(content, indent=1) + "\n")
    os.replace(temporary, folder / REPORT)
    return report


def reverse(
    model: str, checkpoint: str | os.PathLike, output: str | os.PathLike, *, names: str = "original"
) -> dict[str, Any]:
    """Write a PyTorch state dict from a checkpoint of ours.

    Args:
      model: name of the published model whose names to use.
      checkpoint: a converted or trained checkpoint; of a model with parts the submodule "backbone" is taken, for RAFT
        "flow_network".
      output: file to write, .pth or .safetensors.
      names: "original" or "torchvision".

    Returns:
      The state dict that was written.

    Raises:
      InputError: no such model or checkpoint, or the checkpoint is of another model.
    """
    part = "flow_network" if isinstance(published_model(model), RAFT) else "backbone"
    _, variables = checkpoints.load_variables(checkpoint)
    if part in variables["params"]:
        variables = {name: tree.get(part, {}) for name, tree in variables.items()}
    state_dict = to_state_dict(model, variables, names=names)
    save_torch(output, state_dict)
    return state_dict


def _joints_of(variables: Mapping[str, Any], head: str) -> str:
    """The joints of the written network: a file whose head is not COCO's keeps its own."""
    layer = variables["params"].get("final_layer")
    if layer is None:
        return "none"
    joints = layer["kernel"].shape[-1]
    return f"the file's {joints} joints" if head == "coco17" and joints != 17 else head


def _check_folder(folder: pathlib.Path) -> None:
    """A converted model is step 0 of its folder: among the steps of a training it would not be kept."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--output={folder} is a file; give a folder")
    steps = folder / checkpoints.FOLDER
    if steps.is_dir() and any(path.name.isdigit() and path.name != "0" for path in steps.iterdir()):
        raise InputError(f"--output={folder} holds the checkpoints of a training; give a folder of its own")


def _as_model(model: str, variables: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Config and variables as the commands load them: a pose network becomes an image baseline, ready to predict."""
    module = published_model(model)
    if isinstance(module, RAFT):
        return {"model": {"name": "raft", "size": module.size}}, dict(variables)
    joints = int(variables["params"]["final_layer"]["kernel"].shape[-1])
    if isinstance(module, HRNet):
        network, backbone = "hrnet", {"width": module.width, "num_joints": joints}
        if module.all_scales:
            backbone["all_scales"] = True
    else:
        network, backbone = "simple_baseline", {"depth": module.depth, "num_joints": joints}
    config = {"model": {"name": "image", "network": network, "backbone": backbone}}
    return config, {name: {"backbone": tree} for name, tree in variables.items()}


def _dtypes(report: Report) -> str:
    dtypes = sorted({dtype for _, dtype in report.cast})
    return f" from {', '.join(dtypes)}" if dtypes else ""


def main(argv: list[str] | None = None) -> None:
    model = flags.DEFINE_string(
        "model", None, "hrnet_w32, hrnet_w48 (_all_scales), simple_baseline_r50 (_r101, _r152), raft or raft_small."
    )
    torch = flags.DEFINE_string("torch", None, "The PyTorch checkpoint, .pth or .safetensors.")
    output = flags.DEFINE_string(
        "output", None, "Folder for the checkpoint; with --reverse the file to write, .pth or .safetensors."
    )
    head = flags.DEFINE_enum(
        "head",
        "coco17",
        ["coco17", "posetrack17", "posetrack15"],
        "Joints of the converted pose network: a COCO head can be remapped to PoseTrack's 17 slots or 15 joints.",
    )
    partial = flags.DEFINE_bool(
        "partial", False, "Leave what the file lacks at its initial value and pass over keys that the model lacks."
    )
    seed = flags.DEFINE_integer("seed", 0, "Seed of the initial values, with --partial.", lower_bound=0)
    reversed_ = flags.DEFINE_bool("reverse", False, "Write a PyTorch state dict from a checkpoint of ours.")
    checkpoint = flags.DEFINE_string("checkpoint", None, "With --reverse: the checkpoint to read.")
    names = flags.DEFINE_enum(
        "names", "original", ["original", "torchvision"], "With --reverse, for RAFT: whose names to write."
    )

    def run() -> None:
        for flag in (model, output, checkpoint if reversed_.value else torch):
            if flag.value is None:
                raise InputError(f"--{flag.name} is missing{'; --reverse needs it' if flag is checkpoint else ''}")
        if reversed_.value:
            state_dict = reverse(model.value, checkpoint.value, output.value, names=names.value)
            print(f"{output.value}: {len(state_dict)} tensors")
            return
        report = convert(
            model.value, torch.value, output.value, head=head.value, partial=partial.value, seed=seed.value
        )
        print(
            f"{output.value}: {len(report.matched)} keys matched, {len(report.unmatched)} unmatched, "
            f"{len(report.initial)} left at their initial value, {len(report.ignored)} batch counters ignored, "
            f"{len(report.cast)} cast to float32{_dtypes(report)} (see {REPORT})"
        )

    launch(run, argv)


if __name__ == "__main__":
    main()
