"""`jmpose convert`: a published PyTorch checkpoint to a checkpoint of ours, or back.

jmpose convert --model hrnet_w48 --torch pose_hrnet_w48_384x288.pth --output runs/hrnet_w48
jmpose convert --model hrnet_w48 --reverse --checkpoint runs/hrnet_w48 --output hrnet_w48.pth
"""

import contextlib
import os
import pathlib
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

from absl import flags

from experiments.command.given import required
from experiments.command.launch import launch
from experiments.command.outputs import define_if_exists
from jmpose_jax.errors import InputError
from jmpose_jax.files import check_inputs_kept, check_writable, place_results, put_in_place, write_json
from jmpose_jax.models.backbones.hrnet import HRNet
from jmpose_jax.models.backbones.vitpose import PATCH, ViTPose
from jmpose_jax.models.parts import option_names
from jmpose_jax.models.raft.network import RAFT
from jmpose_jax.progress import say
from jmpose_jax.skeletons import POSETRACK15, POSETRACK17, SKELETONS
from jmpose_jax.train import checkpoints
from jmpose_jax.train import trained as trained_models
from jmpose_jax.train.reading import is_step
from jmpose_jax.weights import (
    Report,
    WeightsError,
    convert_state_dict,
    load_torch,
    published_model,
    remap_head,
    save_torch,
    sequences,
    to_state_dict,
    videos,
    vitpose,
)

REPORT = "convert.json"
RESULTS = (checkpoints.FOLDER, checkpoints.NAMES, REPORT)
SUFFIXES = (".safetensors", ".pth", ".pt")


def convert(
    model: str,
    torch: str | os.PathLike,
    output: str | os.PathLike,
    *,
    head: str = "coco17",
    partial: bool = False,
    seed: int = 0,
    prefix: str | None = None,
    quiet: bool = True,
) -> Report:
    """Write a checkpoint and `convert.json` from a PyTorch checkpoint, in the place of those of an earlier conversion.

    Args:
      model: name of the published model.
      torch: the PyTorch checkpoint.
      output: folder of the checkpoint.
      head: joints of the pose network that is written.
      partial: see `weights.convert_state_dict`.
      seed: see `weights.convert_state_dict`.
      prefix: see `weights.convert_state_dict`.
      quiet: say nothing of what takes long.

    Returns:
      What became of every key.

    Raises:
      InputError: the model is unknown, the place cannot be written to, or the file is unreadable, does not fit or holds
        NaN or infinity.
    """
    if videos.of_name(model) and head != "coco17":
        raise InputError(f"--head={head}: {model} estimates PoseTrack's joints already; leave --head out")
    published_model(model)
    folder = pathlib.Path(output)
    _check_folder(folder)
    source = pathlib.Path(torch).absolute()
    check_inputs_kept([source, *source.parents], [folder / name for name in RESULTS])
    try:
        tensors = load_torch(torch, whole=True)
        say(f"{len(tensors)} tensors read; converting …", not quiet)
        variables, report = convert_state_dict(model, tensors, partial=partial, seed=seed, prefix=prefix)
    except WeightsError as error:
        error.args = (f"{torch}: {error}",)  # its lists of keys stay
        raise
    except InputError as error:
        raise InputError(str(error) if str(torch) in str(error) else f"{torch}: {error}") from error
    if head != "coco17":
        variables = remap_head(variables, head)
    head = _joints_of(variables, head, of_video=videos.of_name(model) is not None)
    config, variables = _as_model(model, variables)
    if "dataset" in config and head in SKELETONS:
        config["dataset"]["skeleton"] = head
    config["source"] = {"model": model, "file": pathlib.Path(torch).name, "head": head}
    content = {
        "model": model,
        "file": pathlib.Path(torch).name,
        "head": head,
        "prefix": report.prefix,
        "copies_left": report.copies,
        "of_training": report.of_training,
        "matched": report.matched,
        "unmatched": report.unmatched,
        "initial": report.initial,
        "ignored": report.ignored,
        "cast_to_float32": dict(report.cast),
        "variances_below_0": report.negative,
    }
    with _staged(folder) as stage:
        checkpoints.save_variables(stage, variables, config)
        write_json(stage / REPORT, content)
    return report


@contextlib.contextmanager
def _staged(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """A folder to write to, whose content comes into `folder` once all of it is there; of a failure nothing stays."""
    missing = [place for place in (folder, *folder.absolute().parents) if not place.exists()]
    stage = folder / f".convert.tmp{os.getpid()}"
    try:
        stage.mkdir(parents=True)
        yield stage
        for name in RESULTS:
            if (stage / name).exists():
                put_in_place(stage / name, folder / name)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        with contextlib.suppress(OSError):
            for place in missing:
                place.rmdir()  # fails where something is in it


def reverse(
    model: str, checkpoint: str | os.PathLike, output: str | os.PathLike, *, names: str = "original"
) -> dict[str, Any]:
    """Write a PyTorch state dict from a checkpoint of ours.

    Args:
      model: name of the published model whose names to use.
      checkpoint: a converted or trained checkpoint; of a model with parts the submodule "backbone" is taken, for RAFT
        "flow_network".
      output: file to write, .pth or .safetensors.
      names: "original", "torchvision" (RAFT) or "transformers" (ViTPose).

    Returns:
      The state dict that was written.

    Raises:
      InputError: no such model or checkpoint, the checkpoint is of another model or not finite, or the place or the
        suffix of the file is not to be written.
    """
    published = published_model(model)
    target = pathlib.Path(output)
    if target.suffix not in SUFFIXES or target.is_dir():
        raise InputError(f"--output={output}: a file is written, whose name ends in {', '.join(SUFFIXES)}")
    check_writable(target.parent)
    check_inputs_kept([checkpoint], [target])
    part = "flow_network" if isinstance(published, RAFT) else "backbone"
    _, variables = trained_models.load_variables(checkpoint)
    if not isinstance(published, videos.VideoModule) and part in variables.get("params", {}):
        variables = {name: tree.get(part, {}) for name, tree in variables.items()}
    try:
        state_dict = to_state_dict(model, variables, names=names)
    except InputError as error:
        raise InputError(f"--checkpoint={checkpoint}: {error}") from error
    save_torch(output, state_dict)
    return state_dict


def _joints_of(variables: Mapping[str, Any], head: str, of_video: bool) -> str:
    """The joints of the written network: a head that is not COCO's stays as it is; a video model has PoseTrack's."""
    params = variables["params"]
    layer = (params.get("backbone", {}) if of_video else params).get("final_layer")
    if layer is None:
        return "none"
    joints = layer["kernel"].shape[-1]
    if of_video:
        known = {skeleton.num_joints: skeleton.name for skeleton in (POSETRACK15, POSETRACK17)}
        return known.get(joints, f"the file's {joints} joints")
    return f"the file's {joints} joints" if head == "coco17" and joints != 17 else head


def _check_folder(folder: pathlib.Path) -> None:
    """A converted model is step 0 of its folder: among the steps of a training it would not be kept."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--output={folder} is a file; give a folder")
    check_writable(folder)
    steps = folder / checkpoints.FOLDER
    if steps.is_dir() and any(is_step(path.name) and path.name != "0" for path in steps.iterdir()):
        raise InputError(f"--output={folder} holds the checkpoints of a training; give a folder of its own")


def _as_model(model: str, variables: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Config and variables as the commands load them: a pose network becomes an image baseline, ready to predict."""
    module = published_model(model)
    if isinstance(module, RAFT):
        return {"model": {"name": "raft", "size": module.size}}, dict(variables)
    if model in sequences.MODULES:
        sized = sequences.module_of_variables(model, variables)
        options = {name: getattr(sized, name) for name in option_names(type(sized))}
        return {"model": {"name": model, **options}}, dict(variables)
    if isinstance(module, videos.VideoModule):
        return videos.config(model, variables), dict(variables)
    joints = int(variables["params"]["final_layer"]["kernel"].shape[-1])
    if isinstance(module, ViTPose):
        sized = vitpose.sized_by_variables(module, variables)
        options = ("width", "depth", "heads", "decoder", "position_grid")
        backbone = {"kind": "vitpose", "num_joints": joints} | {name: getattr(sized, name) for name in options}
    elif isinstance(module, HRNet):
        backbone = {"kind": "hrnet", "width": module.width, "num_joints": joints}
        if module.all_scales:
            backbone["all_scales"] = True
    else:
        backbone = {"kind": "simple_baseline", "depth": module.depth, "num_joints": joints}
    config: dict[str, Any] = {"model": {"name": "image", "backbone": backbone}}
    if isinstance(module, ViTPose):
        config["dataset"] = {"input_size": tuple(PATCH * patches for patches in backbone["position_grid"])}
    return config, {name: {"backbone": tree} for name, tree in variables.items()}


def _dtypes(report: Report) -> str:
    dtypes = sorted({dtype for _, dtype in report.cast})
    return f" from {', '.join(dtypes)}" if dtypes else ""


def _said(report: Report) -> str:
    """Of several copies of the model, which was taken; and what will not work."""
    said = f"; the keys under {report.prefix!r} taken" if report.prefix or report.copies else ""
    if report.copies:
        left = ", ".join(repr(copy) for copy in report.copies[:3])
        said += f", the copy under {left} left (--prefix chooses)"
    if report.of_training:
        said += f"; {len(report.of_training)} tensors of the training, such as {report.of_training[0]}, left"
    if report.negative:
        said += f"; WARNING: {len(report.negative)} variances are below 0, such as {report.negative[0]}: poses are NaN"
    return said


def main(argv: list[str] | None = None) -> None:
    model = flags.DEFINE_string(
        "model",
        None,
        "hrnet_w32, hrnet_w48 (_all_scales), simple_baseline_r50 (_r101, _r152), vitpose_b (_s, _l, _h, "
        "_simple), raft, raft_small, dcpose, tdmi, hanet, deciwatch or smoothnet.",
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
        "names", "original", ["original", "torchvision", "transformers"], "With --reverse: whose names to write."
    )

    prefix = flags.DEFINE_string(
        "prefix", None, "What stands before the model's keys in the file, e.g. ema.; found by itself where left out."
    )
    if_exists = define_if_exists()

    def run() -> None:
        required(model, checkpoint if reversed_.value else torch, output)
        if reversed_.value:
            place = place_results(output.value, if_exists=if_exists.value)
            state_dict = reverse(model.value, checkpoint.value, place, names=names.value)
            print(f"{place}: {len(state_dict)} tensors")
            return
        place = place_results(output.value, RESULTS, if_exists.value)
        report = convert(
            model.value,
            torch.value,
            place,
            head=head.value,
            partial=partial.value,
            seed=seed.value,
            prefix=prefix.value,
            quiet=False,
        )
        print(
            f"{place}: {len(report.matched)} keys matched, {len(report.unmatched)} unmatched, "
            f"{len(report.initial)} left at their initial value, {len(report.ignored)} batch counters ignored, "
            f"{len(report.cast)} cast to float32{_dtypes(report)}{_said(report)} (see {REPORT})"
        )

    launch(run, argv)


if __name__ == "__main__":
    main()
