from jmpose_jax.models.backbones.hrnet import HRNet
from jmpose_jax.models.backbones.simple_baseline import SimpleBaseline
from jmpose_jax.models.image_baseline import ImageBaseline
from jmpose_jax.models.jmpose.model import JMPose
from jmpose_jax.models.movenet.network import MoveNet
from jmpose_jax.models.raft.network import RAFT
from jmpose_jax.models.sequences.deciwatch import DeciWatch
from jmpose_jax.models.sequences.hanet import HANet
from jmpose_jax.models.sequences.smoothnet import SmoothNet

__all__ = [
    "HRNet",
    "RAFT",
    "DeciWatch",
    "HANet",
    "ImageBaseline",
    "JMPose",
    "MoveNet",
    "SimpleBaseline",
    "SmoothNet",
]
