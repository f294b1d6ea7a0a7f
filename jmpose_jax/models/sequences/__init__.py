"""Networks that refine sequences of poses."""
