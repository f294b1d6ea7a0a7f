"""State, step, loop, checkpoints and writers: written once for every system."""
