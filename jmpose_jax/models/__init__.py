from jmpose_jax.models.hrnet import HRNet
from jmpose_jax.models.image_baseline import ImageBaseline
from jmpose_jax.models.jmpose import JMPose
from jmpose_jax.models.raft import RAFT
from jmpose_jax.models.simple_baseline import SimpleBaseline

__all__ = ["HRNet", "RAFT", "ImageBaseline", "JMPose", "SimpleBaseline"]
