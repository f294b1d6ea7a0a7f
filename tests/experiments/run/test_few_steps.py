"""One line for all commands that announce what a hardly trained model gives."""

import pathlib

import pytest

from experiments.run.few_steps import few_steps


@pytest.mark.parametrize(("step", "warned"), [("10", True), ("99", True), ("100", False), ("0", False), ("run", False)])
def test_who_is_warned_of(step, warned):
    text = few_steps(pathlib.Path("checkpoints") / step, "flow")
    assert (step in text and "flow" in text) == warned and bool(text) == warned
