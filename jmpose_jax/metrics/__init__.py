"""PoseTrack AP and MOTA, PCK, OKS, and the errors of 3-D pose sequences: NumPy, host side."""

from jmpose_jax.metrics import keypoints as keypoints
from jmpose_jax.metrics import kinematics as kinematics
from jmpose_jax.metrics import posetrack as posetrack
