"""Flags that a command cannot do without."""

from absl import flags

from jmpose_jax.errors import InputError


def required(*needed: flags.FlagHolder) -> None:
    """Raises InputError that names all flags that are missing, not the first alone."""
    missing = [f"--{flag.name}" for flag in needed if flag.value is None or flag.value == ""]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise InputError(f"{' and '.join(missing)} {verb} missing; `--help` says what each takes")
