"""Batches of clips from a prepared folder."""
