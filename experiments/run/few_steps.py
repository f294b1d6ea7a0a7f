"""What is said of a model that has hardly been trained, wherever its results are announced."""

import pathlib

from jmpose_jax.progress import say

FEW_STEPS = 100  # a model of fewer steps is one of a trial run: it has hardly left its initial values


def few_steps(checkpoint: pathlib.Path, results: str = "poses") -> str:
    """A line where a checkpoint's folder is of few steps, otherwise nothing. A converted one, of step 0, is of many.

    Args:
      checkpoint: folder of one step.
      results: what such a model gives, in a word.
    """
    step = checkpoint.name
    if step.isdecimal() and 0 < int(step) < FEW_STEPS:
        return f"the checkpoint is of step {step}: a model that has hardly been trained estimates no real {results}"
    return ""


def tell_few_steps(checkpoint: pathlib.Path, results: str = "poses") -> None:
    """Say `few_steps` on standard error, before the figures of an evaluation."""
    if text := few_steps(checkpoint, results):
        say(f"evaluate: {text}")
