"""The flag that says what becomes of an earlier run's results, alike for all commands."""

from absl import flags

from jmpose_jax.files import IF_EXISTS


def define_if_exists(default: str = "refuse") -> flags.FlagHolder[str]:
    """Define `--if_exists`; its value goes to `files.place_results`."""
    return flags.DEFINE_enum(
        "if_exists",
        default,
        list(IF_EXISTS),
        "Where results of an earlier run are there: refuse; number: write beside them, under the next free number; "
        "replace them.",
    )
