"""The flags by which the processes of a run on several hosts find each other."""

from collections.abc import Callable

from absl import flags

from jmpose_jax.train import distributed


def define_flags() -> Callable[[], None]:
    """Define the flags; returns the function that joins the processes as the parsed flags say."""
    coordinator = flags.DEFINE_string("coordinator", None, "HOST:PORT of process 0 of a run of several processes.")
    count = flags.DEFINE_integer("num_processes", None, "Number of processes of the run.", lower_bound=1)
    index = flags.DEFINE_integer("process_id", None, "Number of this process, from 0.", lower_bound=0)
    mode = flags.DEFINE_enum(
        "distributed",
        "auto",
        ["auto", "detect", "off"],
        "auto: several processes where the flags above, JAX_* variables, Slurm, or a TPU pod's variables say so; "
        "detect: JAX must find the cluster itself (TPU VMs); off: this process alone.",
    )
    return lambda: distributed.initialize(coordinator.value, count.value, index.value, mode.value)
