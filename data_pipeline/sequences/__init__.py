"""Sequences of estimated and true poses: readers, windows, the noise of estimators, batches."""
