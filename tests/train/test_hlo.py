"""Collectives and bytes of a program's text: written out by hand as TPU programs look, and as XLA makes them here."""

import jax
import jax.numpy as jnp
import pytest

from jmpose_jax.train.hlo import Collective, Program, totals

# A loop of five turns that says so in its condition alone; a slice of a stacked array read inside a fusion.
TPU = """HloModule jit_step, is_scheduled=true, num_partitions=8

%sum (a.1: f32[], b.1: f32[]) -> f32[] {
  %a.1 = f32[]{:T(128)} parameter(0)
  %b.1 = f32[]{:T(128)} parameter(1)
  ROOT %add.1 = f32[]{:T(128)} add(%a.1, %b.1)
}

%sliced (p.0: f32[5,16,48], p.1: s32[]) -> f32[1,16,48] {
  %p.0 = f32[5,16,48]{2,1,0:T(8,128)} parameter(0)
  %p.1 = s32[]{:T(128)} parameter(1)
  %zero = s32[]{:T(128)} constant(0)
  ROOT %slice.1 = f32[1,16,48]{2,1,0:T(8,128)} dynamic-slice(%p.0, %p.1, %zero, %zero), dynamic_slice_sizes={1,16,48}
}

%body (t: (s32[], f32[5,16,48], f32[48])) -> (s32[], f32[5,16,48], f32[48]) {
  %t = (s32[]{:T(128)}, f32[5,16,48]{2,1,0:T(8,128)}, f32[48]{0:T(128)S(1)}) parameter(0)
  %i = s32[]{:T(128)} get-tuple-element(%t), index=0
  %w = f32[5,16,48]{2,1,0:T(8,128)} get-tuple-element(%t), index=1
  %s = f32[48]{0:T(128)S(1)} get-tuple-element(%t), index=2
  %fusion.1 = f32[1,16,48]{2,1,0:T(8,128)S(1)} fusion(%w, %i), kind=kLoop, calls=%sliced
  %all-reduce.1 = f32[48]{0:T(128)S(1)} all-reduce(%s), replica_groups=mesh['data'=8,'model'=1] {'data'}, to_apply=%sum
  ROOT %next = (s32[]{:T(128)}, f32[5,16,48]{2,1,0:T(8,128)}, f32[48]{0:T(128)S(1)}) tuple(%i, %w, %all-reduce.1)
}

%condition (c: (s32[], f32[5,16,48], f32[48])) -> pred[] {
  %c = (s32[]{:T(128)}, f32[5,16,48]{2,1,0:T(8,128)}, f32[48]{0:T(128)S(1)}) parameter(0)
  %turn = s32[]{:T(128)} get-tuple-element(%c), index=0
  %five = s32[]{:T(128)} constant(5)
  ROOT %less = pred[]{:T(512)} compare(%turn, %five), direction=LT
}

ENTRY %main (x: (s32[], f32[5,16,48], f32[48]), y: bf16[4,100]) -> bf16[32,100] {
  %x = (s32[]{:T(128)}, f32[5,16,48]{2,1,0:T(8,128)}, f32[48]{0:T(128)S(1)}) parameter(0)
  %y = bf16[4,100]{1,0:T(8,128)(2,1)} parameter(1)
  %while.1 = (s32[]{:T(128)}, f32[5,16,48]{2,1,0}, f32[48]{0}) while(%x), condition=%condition, body=%body
  %scatter = f32[2,10]{1,0} reduce-scatter(%y), replica_groups={{0,1,2,3},{4,5,6,7}}, dimensions={0}, to_apply=%sum
  %gather = (bf16[4,100]{1,0}, bf16[32,100]{1,0}) all-gather-start(%y), replica_groups=[1,8]<=[8], dimensions={0}
  ROOT %done = bf16[32,100]{1,0} all-gather-done(%gather)
}
"""


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


def test_bytes_are_those_of_slices_and_of_whole_tiles():
    slice_of_48_lanes_in_tiles_of_128 = 16 * 128 * 4
    in_loop = 5 * (slice_of_48_lanes_in_tiles_of_128 + 4) + 5 * (4 + 4 + 1)  # with the turn's number and its comparison
    y = 8 * 128 * 2
    assert Program(TPU).memory_bytes() == in_loop + (y + 80) + (y + 6400)


def test_bytes_of_real_programs_are_xlas_times_the_turns():
    x, w = jnp.ones((64, 32)), jnp.ones((32, 32))

    def compiled(f):
        return jax.jit(f).lower(x, w).compile()

    once = compiled(lambda x, w: jnp.tanh(x @ w))
    assert Program(once.as_text()).memory_bytes() == pytest.approx(once.cost_analysis()["bytes accessed"], rel=0.01)
    loop = compiled(lambda x, w: jax.lax.fori_loop(0, 7, lambda i, x: jnp.tanh(x @ w), x))
    moved = Program(loop.as_text()).memory_bytes()
    assert moved == pytest.approx(7 * Program(once.as_text()).memory_bytes(), rel=0.4)  # and copies around the loop
    assert moved > 5 * loop.cost_analysis()["bytes accessed"]
