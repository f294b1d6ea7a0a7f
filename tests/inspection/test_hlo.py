"""Collectives of a program's text, written out by hand as TPU programs look."""

import pathlib

from jmpose_jax.inspection.hlo import Collective, Program, totals

# A loop of five turns that says so in its condition alone; a slice of a stacked array read inside a fusion.
TPU = (pathlib.Path(__file__).resolve().parents[1] / "golden" / "tpu_step.hlo").read_text()


def test_collectives_count_every_turn_of_a_loop_and_the_bytes_of_the_whole_array():
    program = Program(TPU)
    found = {one.kind: one for one in program.collectives()}
    assert found["all-reduce"] == Collective("all-reduce", 48 * 4, 8, 5)  # no padding goes over the network
    assert found["reduce-scatter"] == Collective("reduce-scatter", 4 * 20 * 4, 4, 1)
    assert found["all-gather"] == Collective("all-gather", 32 * 100 * 2, 8, 1)
    assert program.unknown_loops == 0
    assert totals(program.collectives()) == {
        "all-reduce": {"count": 5, "bytes": 5 * 192},
        "all-gather": {"count": 1, "bytes": 6400},
        "reduce-scatter": {"count": 1, "bytes": 320},
    }


def test_a_loop_without_a_bound_is_counted_once_and_said():
    program = Program(TPU.replace("direction=LT", "direction=NE"))
    assert program.unknown_loops == 1
    assert [one.count for one in program.collectives()] == [1, 1, 1]
