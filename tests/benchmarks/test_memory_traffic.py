"""Bytes of a program's text: written out by hand as TPU programs look, and as XLA makes them here."""

import pathlib

import jax
import jax.numpy as jnp
import pytest

from benchmarks.memory_traffic import Traffic

# A loop of five turns that says so in its condition alone; a slice of a stacked array read inside a fusion.
TPU = (pathlib.Path(__file__).resolve().parents[1] / "golden" / "tpu_step.hlo").read_text()


def test_bytes_are_those_of_slices_and_of_whole_tiles():
    slice_of_48_lanes_in_tiles_of_128 = 16 * 128 * 4
    in_loop = 5 * (slice_of_48_lanes_in_tiles_of_128 + 4) + 5 * (4 + 4 + 1)  # with the turn's number and its comparison
    y = 8 * 128 * 2
    assert Traffic(TPU).memory_bytes() == in_loop + (y + 80) + (y + 6400)


def test_bytes_of_real_programs_are_xlas_times_the_turns():
    x, w = jnp.ones((64, 32)), jnp.ones((32, 32))

    def compiled(f):
        return jax.jit(f).lower(x, w).compile()

    once = compiled(lambda x, w: jnp.tanh(x @ w))
    assert Traffic(once.as_text()).memory_bytes() == pytest.approx(once.cost_analysis()["bytes accessed"], rel=0.01)
    loop = compiled(lambda x, w: jax.lax.fori_loop(0, 7, lambda i, x: jnp.tanh(x @ w), x))
    moved = Traffic(loop.as_text()).memory_bytes()
    assert moved == pytest.approx(7 * Traffic(once.as_text()).memory_bytes(), rel=0.4)  # and copies around the loop
    assert moved > 5 * loop.cost_analysis()["bytes accessed"]
