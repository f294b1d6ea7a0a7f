"""Annotations and frames to batches."""
