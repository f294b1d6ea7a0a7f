"""HRNet's layer stack in PyTorch under the published key names, for timing beside ours; needs the extra `torch`."""

import torch
from torch import nn


def conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1, relu: bool = False) -> nn.Sequential:
    layers = [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, *([nn.ReLU()] if relu else []))


class Block(nn.Module):
    """A residual block; kernels (3, 3) make it basic, (1, 3, 1) a bottleneck of four times its inner width."""

    def __init__(self, inputs: int, inner: int, kernels: tuple[int, ...]):
        super().__init__()
        outputs = inner * (4 if len(kernels) == 3 else 1)
        self.count = len(kernels)
        for i, kernel in enumerate(kernels, start=1):
            width = outputs if i == self.count else inner
            setattr(self, f"conv{i}", nn.Conv2d(inputs if i == 1 else inner, width, kernel, 1, kernel // 2, bias=False))
            setattr(self, f"bn{i}", nn.BatchNorm2d(width))
        self.downsample = conv_bn(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x
        for i in range(1, self.count + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            y = torch.relu(y) if i < self.count else y
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class Exchange(nn.Module):
    """Four blocks a branch, then the sums over all branches for the first `outputs` branches."""

    def __init__(self, widths: list[int], outputs: int):
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(*(Block(w, w, (3, 3)) for _ in range(4))) for w in widths)
        rows = ([self._path(widths, source, target) for source in range(len(widths))] for target in range(outputs))
        self.fuse_layers = nn.ModuleList(nn.ModuleList(row) for row in rows)

    @staticmethod
    def _path(widths: list[int], source: int, target: int) -> nn.Module:
        if source == target:
            return nn.Identity()
        if source > target:
            up = nn.Upsample(scale_factor=2 ** (source - target), mode="nearest")
            return nn.Sequential(*conv_bn(widths[source], widths[target], 1), up)
        steps = target - source
        ends = [widths[target] if k == steps - 1 else widths[source] for k in range(steps)]
        return nn.Sequential(*(conv_bn(widths[source], w, 3, 2, k < steps - 1) for k, w in enumerate(ends)))

    def forward(self, branches: list[torch.Tensor]) -> list[torch.Tensor]:
        branches = [blocks(x) for blocks, x in zip(self.branches, branches)]
        return [torch.relu(sum(path(x) for path, x in zip(row, branches))) for row in self.fuse_layers]


class TorchHRNet(nn.Module):
    """The published HRNet of a width."""

    def __init__(self, width: int = 48, num_joints: int = 17):
        super().__init__()
        self.conv1, self.bn1 = conv_bn(3, 64, 3, 2)
        self.conv2, self.bn2 = conv_bn(64, 64, 3, 2)
        self.layer1 = nn.Sequential(*(Block(64 if i == 0 else 256, 64, (1, 3, 1)) for i in range(4)))
        before = [256]
        for stage, modules in ((2, 1), (3, 4), (4, 3)):
            widths = [width * 2**b for b in range(stage)]
            adapt = [nn.Identity() if w == b else conv_bn(b, w, 3, relu=True) for b, w in zip(before, widths)]
            adapt.append(nn.Sequential(conv_bn(before[-1], widths[-1], 3, 2, relu=True)))
            setattr(self, f"transition{stage - 1}", nn.ModuleList(adapt))
            outputs = [1 if stage == 4 and m == modules - 1 else stage for m in range(modules)]
            setattr(self, f"stage{stage}", nn.Sequential(*(Exchange(widths, n) for n in outputs)))
            before = widths
        self.final_layer = nn.Conv2d(width, num_joints, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.bn1(self.conv1(images)))
        x = torch.relu(self.bn2(self.conv2(x)))
        branches = [self.layer1(x)]
        for stage in (2, 3, 4):
            adapt = getattr(self, f"transition{stage - 1}")
            branches = [layer(branches[min(i, len(branches) - 1)]) for i, layer in enumerate(adapt)]
            branches = getattr(self, f"stage{stage}")(branches)
        return self.final_layer(branches[0])
