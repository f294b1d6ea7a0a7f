"""PyTorch's deformable convolutions, to be timed beside ours: torchvision's operator, and one written as a gather."""

from collections.abc import Callable
from typing import Any

import numpy as np

try:
    import torch
except ImportError:
    torch = None
try:
    from torchvision.ops import deform_conv2d
except (ImportError, RuntimeError, OSError):  # torchvision built for another torch fails in ways of its own
    deform_conv2d = None


def available() -> dict[str, Callable[..., Any]]:
    """name -> function(x, offset, mask, weight) in PyTorch's layout; stride 1, padding 1, 3x3."""
    if torch is None:
        return {}
    functions = {"torch gather": gather_deform_conv2d}
    if deform_conv2d is not None:
        functions["torchvision"] = lambda x, offset, mask, weight: deform_conv2d(
            x, offset, weight, None, padding=1, mask=mask
        )
    return functions


def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def arguments(x, offset, mask, kernel, dtype: str) -> tuple[Any, ...]:
    """Our arrays in PyTorch's layout, on the device, each with a gradient."""
    batch, height, width, groups, taps, _ = offset.shape
    arrays = (
        np.moveaxis(np.asarray(x, np.float32), 3, 1),
        np.moveaxis(np.asarray(offset, np.float32).reshape(batch, height, width, groups * taps * 2), 3, 1),
        np.moveaxis(np.asarray(mask, np.float32).reshape(batch, height, width, groups * taps), 3, 1),
        np.transpose(np.asarray(kernel, np.float32), (3, 2, 0, 1)),
    )
    # The operator wants one type for all of them.
    kind = getattr(torch, dtype)
    return tuple(torch.from_numpy(np.ascontiguousarray(a)).to(device(), kind).requires_grad_() for a in arrays)


def gather_deform_conv2d(x, offset, mask, weight):
    """The four corners of every sample by `torch.gather`, then one matrix product."""
    batch, channels, height, width = x.shape
    groups, size = mask.shape[1] // 9, channels // (mask.shape[1] // 9)
    offset = offset.reshape(batch, groups, 9, 2, height, width).float()
    steps = torch.arange(9, device=x.device)
    row = torch.arange(height, device=x.device)[:, None] - 1 + (steps // 3)[:, None, None]
    column = torch.arange(width, device=x.device)[None] - 1 + (steps % 3)[:, None, None]
    y, x_ = row + offset[:, :, :, 0], column + offset[:, :, :, 1]
    top, left = y.floor(), x_.floor()
    down, right = (y - top)[:, :, None], (x_ - left)[:, :, None]
    pixels = x.reshape(batch, groups, size, height * width)
    samples = 0.0
    for below in (0, 1):
        for beside in (0, 1):
            i, j = top.long() + below, left.long() + beside
            inside = (i >= 0) & (i < height) & (j >= 0) & (j < width)
            place = (i.clamp(0, height - 1) * width + j.clamp(0, width - 1)).reshape(batch, groups, 1, -1)
            corner = pixels.gather(3, place.expand(-1, -1, size, -1)).reshape(batch, groups, size, *y.shape[2:])
            part = (down if below else 1 - down) * (right if beside else 1 - right) * inside[:, :, None]
            samples = samples + part * corner
    samples = samples * mask.reshape(batch, groups, 1, 9, height, width)
    columns = samples.to(x.dtype).reshape(batch, channels * 9, height * width)
    return (weight.reshape(weight.shape[0], -1) @ columns).reshape(batch, -1, height, width)


def wait(_: Any) -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def peak_bytes(call: Callable[[], Any]) -> int | None:
    """Device memory that a call needs at most, its arguments included; None on the CPU, where torch does not count."""
    if not torch.cuda.is_available():
        return None
    torch.cuda.reset_peak_memory_stats()
    wait(call())
    return torch.cuda.max_memory_allocated()


def forward(function: Callable[..., Any], inputs: tuple[Any, ...]) -> Callable[[], Any]:
    def call():
        with torch.no_grad():
            return function(*inputs)

    return call


def forward_backward(function: Callable[..., Any], inputs: tuple[Any, ...], gradient: np.ndarray) -> Callable[[], Any]:
    flow = torch.from_numpy(np.ascontiguousarray(np.moveaxis(gradient, 3, 1))).to(device(), inputs[0].dtype)
    return lambda: torch.autograd.grad(function(*inputs), inputs, flow)


def as_ours(result: Any) -> np.ndarray:
    return np.moveaxis(result.detach().float().cpu().numpy(), 1, 3)
