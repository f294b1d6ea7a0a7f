"""Poses made steadier over time: one interface, `poses [T, K, D], valid [T, K], fps -> poses [T, K, D]`, many methods."""
