"""Video human-pose estimation in JAX: JM-Pose and its family."""
