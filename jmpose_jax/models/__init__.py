"""The networks. Each is imported when it is asked for."""

from jmpose_jax.lazy import offered

_NAMES = {
    "DCPose": "dcpose",
    "HRNet": "backbones.hrnet",
    "RAFT": "raft.network",
    "DeciWatch": "sequences.deciwatch",
    "HANet": "sequences.hanet",
    "ImageBaseline": "image_baseline",
    "JMPose": "jmpose.model",
    "MoveNet": "movenet.network",
    "SimpleBaseline": "backbones.simple_baseline",
    "SmoothNet": "sequences.smoothnet",
    "TDMI": "tdmi",
    "ViTPose": "backbones.vitpose",
    "TIPSD": "tipsd.model",
}
__all__ = list(_NAMES)
__getattr__, __dir__ = offered(__name__, _NAMES)
