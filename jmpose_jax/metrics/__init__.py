"""PoseTrack AP and MOTA, PCK, OKS, and the errors of 3-D pose sequences: NumPy, host side."""

from jmpose_jax.lazy import offered

_NAMES = {name: name for name in ("keypoints", "kinematics", "posetrack")}
__all__ = list(_NAMES)
__getattr__, __dir__ = offered(__name__, _NAMES)
