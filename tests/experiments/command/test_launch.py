"""What every command does around its work: its help."""

from absl import flags

from experiments.command import ending
from experiments.command.launch import _help
from tests import commands


def test_the_help_of_a_flag_of_several_values_is_as_it_was_written():
    said = commands.run("grid", "--help")
    assert said.status == 0 and "specify a list of values" not in said.out and ".;" not in said.out
    (line,) = [line.strip() for line in said.out.splitlines() if "A parameter of submitit" in line]
    assert line == "A parameter of submitit, e.g. slurm_partition=gpu; repeatable."


def test_a_flag_of_several_values_says_so():
    values = flags.FlagValues()
    flags.DEFINE_multi_string("one", [], "A name.", flag_values=values)
    flags.DEFINE_string("two", "", "Another; name.", flag_values=values)
    assert _help(values["one"]) == "A name. Repeatable." and _help(values["two"]) == "Another; name."


def test_the_last_line_of_a_command_does_not_stand_behind_a_bar(monkeypatch, capsys):
    order = []
    monkeypatch.setattr("jmpose_jax.progress.leave_bars", lambda: order.append(capsys.readouterr().err))
    try:
        ending.fail("jmpose train", ValueError("stopped"))
    except SystemExit as stop:
        assert stop.code == 2
    assert order == [""] and capsys.readouterr().err == "jmpose train: stopped\n"
