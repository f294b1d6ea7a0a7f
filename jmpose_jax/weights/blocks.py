"""Names of the shared blocks, as the HRNet lineage spells them."""

from jmpose_jax.weights.layers import Layer, conv_bn


def residual_block(torch: str, *path: str, convs: int, index: tuple[int, ...] = ()) -> list[Layer]:
    """A BasicBlock (2 convolutions) or Bottleneck (3), with the shortcut's convolution where it has one."""
    layers = []
    for i in range(1, convs + 1):
        layers += conv_bn(f"{torch}.conv{i}", f"{torch}.bn{i}", *path, f"conv{i}", index=index)
    return layers + conv_bn(f"{torch}.downsample.0", f"{torch}.downsample.1", *path, "shortcut", index=index)


def repeated_blocks(torch: str, *path: str, convs: int, count: int, outer: tuple[int, ...] = ()) -> list[Layer]:
    """`count` blocks `torch.0`, `torch.1`, … that `blocks.repeat_blocks` stacks on one axis, or keeps plain if one."""
    layers = []
    for i in range(count):
        index = (*outer, i) if count > 1 else outer
        layers += residual_block(f"{torch}.{i}", *path, convs=convs, index=index)
    return layers


def residual_layer(torch: str, *path: str, convs: int, count: int) -> list[Layer]:
    """A `blocks.ResidualLayer` or `blocks.ChainOfBasicBlocks`: "first", then the rest in "blocks"."""
    layers = residual_block(f"{torch}.0", *path, "first", convs=convs)
    for i in range(1, count):
        index = (i - 1,) if count > 2 else ()
        layers += residual_block(f"{torch}.{i}", *path, "blocks", convs=convs, index=index)
    return layers


def chain_of_basic_blocks(num_blocks: int, torch: str = "layers", path: tuple[str, ...] = ()) -> list[Layer]:
    """`blocks.ChainOfBasicBlocks` with a projected first shortcut."""
    return residual_layer(torch, *path, convs=2, count=num_blocks)


def chain_of_rsb_blocks(num_blocks: int, torch: str = "layers", path: tuple[str, ...] = ()) -> list[Layer]:
    """`blocks.ChainOfRSBBlocks`."""
    layers = []
    for i in range(num_blocks):
        block, where = f"{torch}.{i}", (*path, f"block{i}")
        names = {"conv_bn_relu1": "conv1"}
        names |= {f"conv_bn_relu2_{g}_{s}": f"conv2_{g}_{s}" for g in range(1, 5) for s in range(1, g + 1)}
        names |= {"conv_bn_relu3": "conv3", "downsample": "shortcut"}
        for theirs, ours in names.items():
            layers += conv_bn(f"{block}.{theirs}.conv", f"{block}.{theirs}.bn", *where, ours)
    return layers
