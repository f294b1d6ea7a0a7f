"""Grids of runs: cells, engines, tables, pictures."""
