"""Names of SimpleBaseline in `pose_resnet_50_384x288.pth` and its kin."""

from jmpose_jax.models.backbones.simple_baseline import RESNET_LAYERS, SimpleBaseline
from jmpose_jax.weights.blocks import residual_layer
from jmpose_jax.weights.layers import Layer, conv, conv_bn, norm


def simple_baseline(model: SimpleBaseline) -> list[Layer]:
    """The name table of a depth."""
    layers = conv_bn("conv1", "bn1", "conv1")
    for i, count in enumerate(RESNET_LAYERS[model.depth], start=1):
        layers += residual_layer(f"layer{i}", f"layer{i}", convs=3, count=count)
    for i in range(3):
        # In PyTorch each step is convolution, normalisation and ReLU in one list.
        layers.append(Layer(f"deconv_layers.{3 * i}", (f"deconv{i}",), "conv_transpose"))
        layers.append(norm(f"deconv_layers.{3 * i + 1}", f"deconv{i}_bn"))
    return [*layers, conv("final_layer", "final_layer")]
