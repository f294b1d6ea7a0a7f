"""A whole training with a network of 150 parameters on made-up clips: what fault and multi-process tests start.

python tests/tiny_run.py '{"workdir": …, "steps": …}' — see `SETTINGS`; prints one JSON line of losses at the end.
"""

import json
import os
import pathlib
import resource
import sys
import time

SETTINGS = {
    "workdir": "",
    "steps": 12,
    "save_every": 3,
    "log_every": 1,
    "batch": 8,
    "devices": 1,
    "process": 0,
    "processes": 1,
    "port": 0,
    "pause": 0.0,  # seconds a batch takes
    "slow": [0, 0.0],  # process whose batches take so many seconds more
    "bad_step": 0,  # the batch of this step holds a NaN
    "skip": False,
    "stall": 0,  # the batch of this step never comes
    "stall_seconds": 0.0,
    "differ": False,  # process 1 holds another value of one parameter
    "full_at": 0,  # from this step on no file may grow beyond 20 kB
    "stderr": "",  # file that gets standard error
    "fault": [0, 0],  # process and step at which its input is at fault
    "sharding": [],
    "mesh_model": 1,
    "accumulate": 1,
    "ema": 0.0,
    "remat": False,
    "width": 4,
    "heartbeat": 100,
    "evaluate_every": 0,
    "scores": {},  # AP that the evaluation gives, by step
    "profiler": None,
}


def run(**changes):
    """Train; returns {step: loss}, the final state and the clips of non-finite batches by step."""
    settings = SETTINGS | changes
    import flax.linen as nn
    import jax
    import jax.numpy as jnp
    import numpy as np

    from jmpose_jax.errors import InputError
    from jmpose_jax.records import ClipBatch, PoseOutput
    from jmpose_jax.train import checkpoints, sharding
    from jmpose_jax.train.loop import Hooks, Outputs, Plan, Program, train_loop
    from jmpose_jax.train.optimizers import Optimizer
    from jmpose_jax.train.state import create_state
    from jmpose_jax.train.step import make_train_step
    from jmpose_jax.train.writers import MetricsWriter, read_metrics

    class Tiny(nn.Module):
        @nn.compact
        def __call__(self, batch, train=False):
            x = batch.frames[:, 0].astype(jnp.float32) / 255 * batch.box_score[:, None, None, None]
            x = nn.Conv(settings["width"], (3, 3), padding=((1, 1), (1, 1)), name="body")(x)
            x = nn.relu(nn.BatchNorm(use_running_average=not train, name="norm")(x))
            maps = nn.Conv(2, (1, 1), name="head")(x)
            return PoseOutput(heatmaps=maps, initial_heatmaps=maps[:, None])

    def loss(output, batch):
        error = jnp.square(output.heatmaps - batch.keypoints[:, :1, :1, None])
        return {"near": (error.sum(), jnp.float32(error.size))}

    class Loader:
        """Batch n is a function of n alone; each process takes its own rows."""

        def __init__(self):
            self.number = 0

        def __iter__(self):
            return self

        def __next__(self):
            self.number += 1
            if settings["stall"] == self.number:  # never 1: the first batch also gives the shapes
                while True:
                    time.sleep(0.05)
            if settings["fault"] == [settings["process"], self.number]:
                raise InputError("the shard of this process is damaged")
            time.sleep(settings["pause"] + settings["slow"][1] * (settings["process"] == settings["slow"][0]))
            rng = np.random.default_rng(self.number)
            size = settings["batch"]
            score = np.ones(size, np.float32)
            if settings["bad_step"] == self.number:
                score[0] = np.nan
            whole = ClipBatch(
                frames=rng.integers(0, 255, (size, 1, 8, 8, 3), np.uint8),
                keypoints=rng.normal(size=(size, 2, 2)).astype(np.float32),
                joint_weights=np.ones((size, 2), np.float32),
                transform=np.zeros((size, 2, 3), np.float32),
                box_score=score,
                index=np.arange(size, dtype=np.int32) + self.number * 100,
                valid=np.ones(size, np.float32),
            )
            part = size // parts
            rows = slice(share * part, (share + 1) * part)
            return jax.tree.map(lambda x: x[rows], whole)

        def get_state(self):
            return {"number": self.number}

        def set_state(self, state):
            self.number = int(state["number"])

    mesh = sharding.data_mesh(model=settings["mesh_model"])
    sharding.check_batch_size(settings["batch"], mesh, settings["accumulate"])
    share, parts = sharding.input_share(mesh)
    loader = Loader()
    example, loader.number = next(loader), 0
    model, optimizer = Tiny(), Optimizer("adamw", weight_decay=0.01).create(lambda step: 0.02)
    state = create_state(model, optimizer, jax.random.key(0), example)
    if settings["ema"]:
        state = state.replace(ema=jax.tree.map(jnp.copy, state.params))
    shardings = sharding.state_sharding(state, mesh, settings["sharding"])
    state = jax.device_put(state, shardings)
    if settings["differ"]:
        kernel = state.params["head"]["kernel"]
        other = np.asarray(kernel.addressable_data(0)) + settings["process"]
        copies = [jax.device_put(other, device) for device in jax.local_devices()]
        state.params["head"]["kernel"] = jax.make_array_from_single_device_arrays(kernel.shape, kernel.sharding, copies)
    found = {}
    folder = pathlib.Path(settings["workdir"])
    with checkpoints.checkpointer(folder, keep=2) as manager:
        restored = checkpoints.restore_newest(manager, state, shardings)
        if restored is not None:
            state, position = restored
            loader.set_state(position)
        print("began", int(state.step), flush=True)

        def report(step, scalars):
            print("step", step, flush=True)
            if step == settings["full_at"]:
                checkpoints.wait(manager)  # the one before is whole
                resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

        writer = MetricsWriter(folder, int(state.step))
        step = make_train_step(
            model,
            optimizer,
            loss,
            accumulate=settings["accumulate"],
            ema_decay=settings["ema"],
            remat=settings["remat"],
            skip_non_finite=settings["skip"],
        )
        try:
            plan = Plan(
                total_steps=settings["steps"],
                log_every=settings["log_every"],
                save_every=settings["save_every"],
                evaluate_every=settings["evaluate_every"],
                check_hosts_every=2,
                stall_seconds=settings["stall_seconds"],
                skip_non_finite=settings["skip"],
            )
            hooks = Hooks(
                report=report,
                non_finite=lambda step, scalars, index: found.update({step: [int(i) for i in index]}),
                evaluate=settings.get("evaluate") or (lambda state: {"ap": settings["scores"][int(state.step)]}),
                profiler=settings["profiler"],
            )
            program = Program(step, {"near": 1.0}, lambda step: 0.02, mesh, shardings)
            outputs = Outputs(manager, {"model": {"name": "tiny"}}, writer)
            state = train_loop(state, loader, program, plan, outputs, hooks)
        finally:
            writer.close()
    return {line["step"]: line["loss/near"] for line in read_metrics(folder)}, state, found


def main():
    from experiments.command.ending import guarded
    from jmpose_jax import stopping

    settings = SETTINGS | json.loads(globals().get("ARGUMENT") or sys.argv[1])
    if settings["stderr"]:
        os.dup2(os.open(settings["stderr"], os.O_CREAT | os.O_WRONLY | os.O_TRUNC), 2)
    stopping.install(loading=True)

    def command():
        import jax

        jax.config.update("jax_num_cpu_devices", settings["devices"])
        from jmpose_jax.train import distributed

        if settings["processes"] > 1:
            address = f"127.0.0.1:{settings['port']}"
            distributed.initialize(
                address, settings["processes"], settings["process"], heartbeat_timeout=settings["heartbeat"]
            )
        import jmpose_jax.train.loop  # noqa: F401  as commands import it, before their work begins

        stopping.loaded()
        losses, _, _ = run(**settings)
        print(json.dumps(losses), flush=True)

    guarded("tiny_run.py", command)


if __name__ == "__main__":
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    main()
