"""`jmpose refine --poses FILE …`: poses of any estimator made steadier over time, in the form that came in."""

import dataclasses
import json
import math
import os
import pathlib
import sys
import time

import numpy as np
from absl import flags

from experiments.command.given import required
from experiments.command.launch import launch
from experiments.command.outputs import define_if_exists, place_folder
from experiments.command.refining import define_refining, said
from experiments.pictures.refinement import draw_curves, draw_trajectories
from jmpose_jax import stopping
from jmpose_jax.errors import InputError
from jmpose_jax.files import finite_or_none, same_file, staged, write_json
from jmpose_jax.inference.before_after import write_comparison
from jmpose_jax.inference.outputs.formats import FORMATS, WRITERS, check_formats, files_of, missing_extra
from jmpose_jax.inference.sources.source import Source, open_sources
from jmpose_jax.pose_files.predictions import to_predictions
from jmpose_jax.pose_files.reader import FORMS, read_poses, write_poses
from jmpose_jax.pose_files.records import PoseFile, Track
from jmpose_jax.progress import ProgressBar
from jmpose_jax.refinement.curves import acceleration_curve, error_curves, spread
from jmpose_jax.refinement.filters import METHODS, Gaussian, OneEuro, SavitzkyGolay
from jmpose_jax.refinement.jitter import accelerations, mean_of_joints
from jmpose_jax.refinement.sequence import Refiner, check_fps
from jmpose_jax.refinement.tracks import TrackReport, refine_tracks, total
from jmpose_jax.refinement.truth import Truth, match_truth, truth_errors

DEFAULT = "gaussian"
REPORT, CURVES, WAYS, OVERLAY = "refine.json", "curves.png", "trajectories.png", "overlay.mp4"
SHOWN = 4  # joints in the picture of their ways
UNIT = "unit of the file"


def main(argv: list[str] | None = None) -> None:
    poses = flags.DEFINE_string("poses", None, f"File of poses. Forms: {FORMS}.")
    method = flags.DEFINE_enum("method", None, list(METHODS), f"What refines them; {DEFAULT} without --checkpoint.")
    checkpoint = flags.DEFINE_string(
        "checkpoint", None, "Workdir of a training of hanet, deciwatch or smoothnet, which then refines them."
    )
    output = flags.DEFINE_string("output", None, "Folder for the results; by default NAME_refined beside the file.")
    fps = flags.DEFINE_float("fps", None, "Frames a second, where the file and --video do not say.")
    formats = flags.DEFINE_list("formats", [], f"Further files: some of {', '.join(FORMATS)}; see docs/outputs.md.")
    video = flags.DEFINE_string("video", None, f"The video of the poses: {OVERLAY} shows both versions on it.")
    truth = flags.DEFINE_string("truth", None, "File of the true poses, of any of the forms: errors before and after.")
    pictures = flags.DEFINE_bool("pictures", True, f"Draw {CURVES} and {WAYS}, of the longest track.")
    refining = define_refining()
    if_exists = define_if_exists()

    def run() -> None:
        required(poses)
        if checkpoint.value and method.value:
            raise InputError(f"--checkpoint={checkpoint.value} and --method={method.value} are both given; leave one")
        how = refining(method.value or DEFAULT)
        chosen = check_formats(formats.value)
        file = read_poses(poses.value)
        source = _source(video.value) if video.value else None
        true = match_truth(file, read_poses(truth.value)) if truth.value else None
        refiner: Refiner = how.refiner
        name = how.name
        if checkpoint.value:
            from jmpose_jax.refinement.network import from_checkpoint

            refiner = from_checkpoint(checkpoint.value, len(file.joints), file.dimensions)
            name = refiner.name
        rate = _rate(fps.value, file, source, refiner)
        if (chosen or source) and file.dimensions != 2:
            flag = "formats" if chosen else "video"
            raise InputError(
                f"--{flag}: is of poses in a picture, and those of {file.path} have {file.dimensions} axes"
            )
        made = _names(file, chosen, bool(source), pictures.value)
        inputs = [poses.value, *filter(None, (truth.value, checkpoint.value)), *(source.inputs if source else ())]
        place = output.value or file.path.with_name(f"{file.path.stem}_refined")
        folder = place_folder(place, made, if_exists.value, inputs)
        old = _of_earlier(folder, made, inputs)
        begin = time.monotonic()
        tracks, reports = refine_tracks(file.tracks, rate, refiner, how.options)
        seconds = time.monotonic() - begin
        with staged(folder) as stage:
            write_poses(file, tracks, stage / file.path.name)
            _write_formats(file, tracks, chosen, rate, stage)
            errors = None if true is None else _plain_errors(truth_errors(file.tracks, tracks, true))
            whole = total(reports)
            frames = sum(len(track.frames) for track in tracks)
            write_json(
                stage / REPORT,
                {
                    "poses": file.path.name,
                    "files": made,
                    "form": file.form,
                    "method": name,
                    "parameters": {} if checkpoint.value else _parameters(refiner, rate),
                    "options": dataclasses.asdict(how.options),
                    "fps": rate,
                    "seconds": round(seconds, 4),
                    "notes": list(file.notes),
                    "errors": errors,
                    "all": _plain(whole),
                    "tracks": [_plain(report) for report in reports],
                },
            )
            if pictures.value:
                _draw(file, tracks, true, rate, stage)
            if source:
                _overlay(source, file, tracks, stage, folder)
        for earlier in old:
            (folder / earlier).unlink(missing_ok=True)
        notes = list(file.notes)
        if isinstance(refiner, OneEuro) and len(file.joints) == 1:
            notes.append("a single joint has no size: its speed is in units of the file, lower --beta for pixels")
        missing = missing_extra(chosen)
        stopping.finished()  # the results are there: a signal that comes with the last line says nothing else
        print(
            f"{folder}: {len(tracks)} tracks, {frames} poses, {name}{f' at {rate:.4g} fps' if rate else ''}"
            f"{said(whole)}{_said_errors(errors)}{''.join(f'; {note}' for note in notes)}"
            f"{f'; {missing}' if missing else ''}",
            flush=True,
        )

    launch(run, argv)


def _source(video: str) -> Source:
    sources = open_sources([video], "--video")
    if len(sources) != 1 or sources[0].pictures or not sources[0].inputs:
        raise InputError(f"--video={video}: must be one video file, that of the poses")
    return sources[0]


def _rate(given: float | None, file: PoseFile, source: Source | None, refiner: Refiner) -> float | None:
    """Frames of the file's grid a second, by the flag, the file or the video."""
    fps = file.fps
    if given is not None:
        fps = given
    elif fps is None and source is not None:
        fps = float(source.rate) / file.step
    try:
        check_fps(refiner, fps)
    except InputError as fault:
        if fps is None:
            raise InputError(
                f"--fps: {file.path} does not say its frame rate, which the method needs; give it"
            ) from None
        raise InputError(f"--{fault}" if given is not None else f"{file.path}: {fault}") from None
    return fps


def _names(file: PoseFile, formats: tuple[str, ...], overlay: bool, pictures: bool) -> list[str]:
    """The files that the run leaves; InputError where two of them have one name."""
    of_forms = [name for name in files_of(formats) if any(name in WRITERS[form] for form in formats)]
    names = [file.path.name, REPORT, *of_forms]
    names += [CURVES, WAYS] if pictures else []
    names += [OVERLAY] if overlay else []
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise InputError(f"--poses={file.path}: a result has the same name, {twice}; rename the file")
    return names


def _of_earlier(folder: pathlib.Path, made: list[str], inputs: list[str | os.PathLike]) -> list[str]:
    """What the run that this one replaces has left by its own account, but for what is written anew, or read."""
    try:
        report = json.loads((folder / REPORT).read_bytes())
        listed, poses = report["files"], report["poses"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # none, or none of ours
        return []
    ours = {str(poses), CURVES, WAYS, OVERLAY, *(name for files in WRITERS.values() for name in files)}
    found = [name for name in listed if isinstance(name, str) and name in ours] if isinstance(listed, list) else []
    return [
        name
        for name in found
        if name not in made
        and pathlib.PurePath(name).name == name
        and (folder / name).is_file()
        and not any(same_file(folder / name, read) for read in inputs)
    ]


def _write_formats(
    file: PoseFile, tracks: tuple[Track, ...], formats: tuple[str, ...], fps: float | None, stage: pathlib.Path
) -> None:
    if not formats:
        return
    predictions = to_predictions(file, tracks, fps)
    wanted = files_of(formats)
    for form in formats:
        for name, write in WRITERS[form].items():
            if name in wanted:
                write(predictions, stage / name)


def _longest(tracks: tuple[Track, ...]) -> int:
    return max(range(len(tracks)), key=lambda n: len(tracks[n].frames))


def _plain_errors(errors: dict[str, dict[str, float]]) -> dict[str, dict[str, float | None]]:
    return {part: finite_or_none(values) for part, values in errors.items()}


def _draw(
    file: PoseFile, tracks: tuple[Track, ...], truth: Truth | None, fps: float | None, stage: pathlib.Path
) -> None:
    n = _longest(file.tracks)
    before, after = file.tracks[n], tracks[n]
    panels: dict[str, dict] = {}
    if truth is not None and (matched := dict(truth.tracks).get(n)) is not None:
        curves = [error_curves(track, matched, truth.joints, truth.of_truth) for track in (before, after)]
        for key, title in (("error", f"error\n{UNIT}"), ("acceleration_error", f"acceleration error\n{UNIT}/frame²")):
            panels[title] = {"before": curves[0][key], "after": curves[1][key]}
    panels[f"acceleration\n{UNIT}/frame²"] = {"before": acceleration_curve(before), "after": acceleration_curve(after)}
    draw_curves(panels, stage / CURVES, fps)
    points, first = spread(before)
    found, since = spread(after)
    shift = first - since  # the refined track has all frames of the other
    found = found[shift : shift + len(points)]
    jitter = mean_of_joints(accelerations(points, np.isfinite(points).all(axis=-1)).T)
    worst = np.sort(np.argsort(-np.nan_to_num(jitter, nan=-1.0), kind="stable")[:SHOWN])
    names = [file.joints[k] for k in worst.tolist()]
    draw_trajectories(points[:, worst], found[:, worst], names, stage / WAYS, file.first + first)


def _overlay(
    source: Source, file: PoseFile, tracks: tuple[Track, ...], stage: pathlib.Path, folder: pathlib.Path
) -> None:
    bar = ProgressBar(source.expected_frames or None, "overlay")
    try:
        before, after = to_predictions(file, file.tracks), to_predictions(file, tracks)
        write_comparison(source, before, after, stage / OVERLAY, shown=folder / OVERLAY, report=lambda: bar.update())
    finally:
        bar.close()


def _parameters(refiner: Refiner, rate: float | None) -> dict:
    """Of a filter, as they were at the frame rate."""
    width = {SavitzkyGolay: "window", Gaussian: "sigma"}.get(type(refiner))
    return dataclasses.asdict(refiner) | ({width: refiner.frames(rate)} if width else {})


def _plain(report: TrackReport) -> dict:
    """A report as JSON has it; what is not finite is null."""
    values = dataclasses.asdict(report)
    return {key: None if isinstance(v, float) and not math.isfinite(v) else v for key, v in values.items()}


def _said_errors(errors: dict | None) -> str:
    """The errors as parts of a last line, and over what they are where that is not all."""
    if errors is None:
        return ""
    if errors["before"]["error"] is None:
        text = "; the truth knows no joint that the file has: no error to measure"
    else:
        text = f"; error {errors['before']['error']:.4g} → {errors['after']['error']:.4g}"
        if errors["compared"]["frames"] < errors["compared"]["poses"]:
            text += f" of the {errors['compared']['frames']} poses that the truth has"
    if errors["filled"]["joints"]:
        text += f"; error of {errors['filled']['joints']} filled joints {errors['filled']['error']:.4g}"
    return text


if __name__ == "__main__":
    main(sys.argv)
