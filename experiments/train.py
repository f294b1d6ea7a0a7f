"""`jmpose train`: train a model from a config, or go on where the workdir left off."""

import contextlib
import functools
import os
import pathlib
import sys
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from absl import flags
from ml_collections import ConfigDict

from experiments.command import hosts
from experiments.command.launch import launch
from experiments.command.outputs import define_if_exists
from experiments.configuration.changes import check_unchanged
from experiments.configuration.flag import define_config, required_config
from experiments.configuration.limits import check_limits
from experiments.configuration.naming import as_in_config
from experiments.evaluation.validation import make_validation
from experiments.run import going_on
from experiments.run.building import plain, set_up
from experiments.run.summary import summary as summarized
from experiments.run.untrained import untrained
from experiments.run.workdir import check_workdir
from experiments.systems import built
from jmpose_jax import stopping
from jmpose_jax.errors import InputError
from jmpose_jax.files import write_json
from jmpose_jax.inspection.profiling import StepProfiler, parse_profile_steps
from jmpose_jax.locks import locked
from jmpose_jax.progress import ProgressBar, say
from jmpose_jax.train import checkpoints, distributed, sharding
from jmpose_jax.train import trained as trained_models
from jmpose_jax.train.loop import Hooks, Outputs, Plan, Program, train_loop
from jmpose_jax.train.preemption import PreemptionNotice
from jmpose_jax.train.state import TrainState
from jmpose_jax.train.writers import MetricsWriter


def train(
    config: ConfigDict,
    workdir: str | os.PathLike,
    *,
    start_from: str | os.PathLike | None = None,
    quiet: bool = False,
    allow_config_change: bool = False,
    profile_steps: tuple[int, int] | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> TrainState:
    """Train as the config says, from the workdir's latest checkpoint where there is one.

    Args:
      config: from a file in `configs/`.
      workdir: gets `config.json`, `dataset.json`, `metrics.jsonl`, TensorBoard events, `checkpoints/`, and
        `checkpoints.json`, which names the latest and the best.
      start_from: a fresh workdir starts from this checkpoint of the same model: state, optimiser and input position.
      quiet: no progress report.
      allow_config_change: go on from a checkpoint of the workdir though it was written with another config, or from
        another data set.
      profile_steps: first and last of the steps to trace into `profile/`, a folder for each process.
      tell: gets one line at the end: what was trained, or that nothing was left to train.

    Returns:
      The final state.

    Raises:
      InputError: the config, the data set, the workdir or a checkpoint is at fault, or another process trains there.
      RunStopped: SIGTERM or Ctrl-C came and the state is saved, or a guard of `train_loop` stopped the run.
    """
    folder = pathlib.Path(workdir)
    check_workdir(folder)
    with locked(folder) if jax.process_index() == 0 else contextlib.nullcontext():
        state, began, total = _train(config, folder, start_from, quiet, allow_config_change, profile_steps)
    if began < total:
        tell(f"trained: {workdir}")
    else:
        tell(f"{workdir}: already at step {began} of {total}; more with --config.train.steps=N")
    return state


def _train(
    config: ConfigDict,
    folder: pathlib.Path,
    start_from: str | os.PathLike | None,
    quiet: bool,
    allow_config_change: bool,
    profile_steps: tuple[int, int] | None,
) -> tuple[TrainState, int, int]:
    """`train`, once no other process works in the folder: final state, the step it began at and that of the end."""
    with contextlib.ExitStack() as begun, contextlib.ExitStack() as setting_up:
        # Until the training begins there is nothing to save: a signal ends the command where it stands.
        setting_up.enter_context(stopping.at_once())
        check_limits(config)
        with as_in_config("config.train", *sharding.PARAMETERS):
            mesh = sharding.data_mesh(model=config.train.mesh_model)
            sharding.check_batch_size(config.train.batch_size, mesh, config.train.accumulate)
            share = sharding.input_share(mesh)
        if config.train.non_finite not in ("stop", "skip"):
            raise InputError(f"config.train.non_finite={config.train.non_finite!r} is unknown; use stop or skip")
        system = built(config)
        speaks, description = not quiet and jax.process_index() == 0, plain(config)
        trained_on, before = going_on.data_set(config), going_on.earlier(folder)
        if before is not None:
            description = going_on.check_goes_on(
                folder, before, description, trained_on, allow_config_change, not speaks
            )
        loader = system.data.train(config, share)
        try:
            parts = set_up(config, system, loader, fresh=before is None)
            evaluate = make_validation(config, system, mesh, quiet) if config.train.evaluate_every else None
            with as_in_config("config.train", *sharding.PARAMETERS):
                shardings = sharding.state_sharding(parts.state, mesh, config.train.sharding)
            state = jax.device_put(parts.state, shardings)

            folder.mkdir(parents=True, exist_ok=True)
            with checkpoints.checkpointer(
                folder,
                keep=config.train.keep,
                keep_steps=config.train.keep_steps,
                best=system.evaluation.MEASURE.best,
            ) as manager:
                check = functools.partial(check_unchanged, now=description, quiet=True)
                found = checkpoints.restore_newest(
                    manager, state, shardings, (lambda before: None) if allow_config_change else check
                )
                if found is not None:
                    state, position = found
                    # The order of the clips of another data set or seed is another one: only the place in it is kept.
                    kept = {"global_next_index"} if allow_config_change else position
                    loader.set_state({name: value for name, value in position.items() if name in kept})
                elif before is not None:
                    raise InputError(f"--workdir={folder}: its checkpoints went away meanwhile; start again")
                elif start_from is not None:
                    source = trained_models.find_checkpoint(start_from)
                    with checkpoints.checkpointer(source.parents[1], keep=1000) as other:
                        state, position = checkpoints.restore(other, state, shardings, int(source.name))
                    loader.set_state(position)
                elif speaks:
                    for line in untrained(parts.state.params, config):
                        say(f"train {folder.name}: {line}")
                begun.enter_context(PreemptionNotice())  # until all is closed
                setting_up.close()
                checkpoints.write_names(manager)  # a run that was killed may have left an older one
                profiler = None
                if profile_steps is not None:
                    profiler = StepProfiler(folder, *profile_steps)
                    profiler.check(int(state.step), parts.total_steps)
                if jax.process_index() == 0:
                    write_json(folder / "config.json", description)
                    write_json(folder / going_on.FILE, trained_on)
                writer = begun.enter_context(contextlib.closing(MetricsWriter(folder, int(state.step))))
                begin = int(state.step)
                say(f"train {folder.name}: compiling the step …", speaks and begin < parts.total_steps)
                bar = ProgressBar(parts.total_steps, f"train {folder.name}", initial=begin, enabled=speaks)

                def report(step: int, scalars: dict[str, float]) -> None:
                    if step == begin + 1:
                        bar.restart()  # the first step compiled, which foretells nothing
                    _report(bar, step, scalars)
                    if step == begin + 1:
                        bar.restart()

                plan = Plan(
                    parts.total_steps,
                    config.train.log_every,
                    config.train.save_every,
                    tuple(config.train.keep_steps),
                    config.train.evaluate_every,
                    config.train.check_hosts_every,
                    config.train.stall_seconds,
                    config.train.non_finite == "skip",
                )
                describe = functools.partial(system.data.describe, loader.table)
                hooks = Hooks(report, functools.partial(_write_non_finite, folder, describe), evaluate, profiler)
                program = Program(parts.step, system.objective.term_weights(), parts.schedule, mesh, shardings)
                state = train_loop(state, loader, program, plan, Outputs(manager, description, writer), hooks)
                bar.close()
            return state, begin, parts.total_steps
        finally:
            loader.close()


def _write_non_finite(
    folder: pathlib.Path, describe: Callable[[np.ndarray], Any], step: int, scalars: dict[str, float], index: np.ndarray
) -> None:
    """Write which clips a batch held whose loss or gradient was not finite, so that they can be looked at."""
    if jax.process_index() != 0:
        return
    metrics = {name: repr(value) for name, value in scalars.items()}  # JSON has no NaN
    write_json(folder / "non_finite" / f"{step}.json", {"step": step, "metrics": metrics, "clips": describe(index)})


def _report(bar: ProgressBar, step: int, scalars: dict[str, float]) -> None:
    bar.update(1)
    if scalars:
        text = f"loss {scalars['loss/total']:.4g}, {scalars['clips_per_second']:.0f} clips/s"
        if "mfu" in scalars:
            text += f", MFU {100 * scalars['mfu']:.1f} %"
        if scalars["input_wait"] > 0.1:
            text += f", {100 * scalars['input_wait']:.0f} % waiting for input"
        bar.note(text)


def main(argv: list[str] | None = None) -> None:
    config = define_config("Config file, e.g. configs/jmpose.py:tiny.", saved_in=("workdir",))
    workdir = flags.DEFINE_string("workdir", None, "Folder of the run; a run found there goes on.")
    summary = flags.DEFINE_bool("summary", False, "Print the model's modules, shapes, parameters and GFLOP, and stop.")
    allow = flags.DEFINE_bool("allow_config_change", False, "Go on in a workdir that another config began.")
    profile = flags.DEFINE_string(
        "profile_steps", None, "FIRST:LAST, e.g. 10:15: trace these steps into WORKDIR/profile, a folder a process."
    )
    compiling = flags.DEFINE_bool(
        "compile_only", False, "Compile the step, say what it takes, and stop; needs no data set."
    )
    topology = flags.DEFINE_string(
        "topology", None, "With --compile_only: compile for a TPU slice that need not be there, e.g. v5e:8x8."
    )
    if_exists = define_if_exists(of="The file of --compile_only")
    join = hosts.define_flags()
    depth = flags.DEFINE_integer("summary_depth", 2, "How far down --summary lists modules.", lower_bound=0)

    def run() -> None:
        if summary.value:
            required_config(config)
            print(summarized(config.value, depth.value))
            return
        required_config(config, workdir)
        if topology.value and not compiling.value:
            raise InputError("--topology goes with --compile_only: training runs on the devices that are there")
        steps = None if profile.value is None else parse_profile_steps(profile.value)
        if compiling.value:
            from experiments.run.compile_only import compile_only, table

            print(table(compile_only(config.value, workdir.value, topology.value, if_exists.value)))
            return
        join()
        lines: list[str] = []
        with distributed.told_of_lost_host():
            train(config.value, workdir.value, allow_config_change=allow.value, profile_steps=steps, tell=lines.append)
        print(*lines, sep="\n")

    launch(run, argv)


if __name__ == "__main__":
    main(sys.argv)
