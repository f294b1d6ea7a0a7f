"""JM-Pose, in the order of the paper's Figure 2."""
