"""Names of HRNet in `pose_hrnet_w48_384x288.pth` and its kin."""

from jmpose_jax.models.backbones.hrnet import HRNet
from jmpose_jax.weights.blocks import repeated_blocks, residual_layer
from jmpose_jax.weights.layers import Layer, conv, conv_bn


def hrnet(model: HRNet) -> list[Layer]:
    """The name table of a configuration of HRNet.

    Args:
      model: the module; widths and joints do not matter, the numbers of stages, modules and blocks do.
    """
    layers = conv_bn("conv1", "bn1", "conv1") + conv_bn("conv2", "bn2", "conv2")
    convs = 3 if model.stem_block == "bottleneck" else 2
    layers += residual_layer("layer1", "layer1", convs=convs, count=model.stem_blocks)
    last_stage = len(model.stage_modules) + 1
    for stage, num_modules in enumerate(model.stage_modules, start=2):
        layers += _transition(stage - 1)
        finest_only = stage == last_stage and not model.all_scales
        stacked = num_modules - 1 if finest_only else num_modules
        for m in range(num_modules):
            separate = finest_only and m == num_modules - 1
            name = f"stage{stage}_last" if separate else f"stage{stage}"
            index = () if separate or stacked == 1 else (m,)
            layers += _module(f"stage{stage}.{m}", name, stage, model.blocks_per_branch, index)
    return [*layers, conv("final_layer", "final_layer")]


def _transition(number: int) -> list[Layer]:
    layers = []
    for b in range(number):
        layers += conv_bn(f"transition{number}.{b}.0", f"transition{number}.{b}.1", f"transition{number}_{b}")
    # The new branch is a chain of one convolution, hence the extra level.
    new = f"transition{number}.{number}.0"
    return layers + conv_bn(f"{new}.0", f"{new}.1", f"transition{number}_{number}")


def _module(torch: str, name: str, branches: int, blocks: int, index: tuple[int, ...]) -> list[Layer]:
    layers = []
    for b in range(branches):
        layers += repeated_blocks(f"{torch}.branches.{b}", name, f"branch{b}", convs=2, count=blocks, outer=index)
    for target in range(branches):
        for source in range(branches):
            fuse, ours = f"{torch}.fuse_layers.{target}.{source}", f"fuse{target}_{source}"
            if source > target:
                layers += conv_bn(f"{fuse}.0", f"{fuse}.1", name, ours, index=index)
            for step in range(target - source):
                layers += conv_bn(f"{fuse}.{step}.0", f"{fuse}.{step}.1", name, f"{ours}_{step}", index=index)
    return layers
