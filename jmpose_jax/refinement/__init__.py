"""Poses made steadier over time by methods of one form: `(poses [T, K, D], valid [T, K], fps) -> poses [T, K, D]`."""
