"""With PyTorch and torchvision installed: equal weights give equal outputs, for seeds and sizes of no golden file.

HRNet's reference is the stack of the benchmark; RAFT and the residual networks are torchvision's.
"""

import jax
import numpy as np
import pytest

from jmpose_jax.models import HRNet
from jmpose_jax.models.backbones.simple_baseline import SimpleBaseline
from jmpose_jax.models.raft.network import RAFT, padding_to_stride
from jmpose_jax.weights import from_state_dict

torch = pytest.importorskip("torch")


def drawn(module, seed, quiet=()):
    """The module in evaluation mode with drawn weights, and its state dict as arrays.

    Kernels are scaled by their fan-in; those whose names begin with one of `quiet` are small, as trained ones are.
    """
    rng = np.random.default_rng(seed)
    state_dict = {}
    for key, tensor in module.state_dict().items():
        values = rng.standard_normal(tensor.shape).astype(np.float32)
        if key.endswith("num_batches_tracked"):
            values = np.zeros((), np.int64)
        elif tensor.ndim == 4:
            values *= np.float32((0.1 if key.startswith(tuple(quiet)) else 0.8) / np.sqrt(np.prod(tensor.shape[1:])))
        elif key.endswith(("running_var", "weight")):
            values = np.float32(1) + np.float32(0.1) * np.abs(values)
        else:
            values *= np.float32(0.1)
        state_dict[key] = values
    module.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in state_dict.items()})
    return module.eval(), state_dict


def first(array):
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(array, -1, 1)))


def last(tensor):
    return np.moveaxis(tensor.numpy(), 1, -1)


def close(ours, theirs, relative):
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=relative * np.abs(theirs).max())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("width", "size", "seed"), [(32, (192, 256), 1), (32, (128, 96), 2), (48, (96, 160), 3), (8, (32, 64), 4)]
)
def test_hrnet(width, size, seed):
    from benchmarks.torch_hrnet import TorchHRNet

    network, state_dict = drawn(TorchHRNet(width, 17), seed)
    images = np.random.default_rng(seed).standard_normal((2, *size, 3), np.float32)
    ours = jax.jit(HRNet(width).apply)(from_state_dict(f"hrnet_w{width}", state_dict), images)
    with torch.inference_mode():
        close(ours, last(network(first(images))), 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("depth", "size", "seed"), [(50, (96, 64), 1), (101, (64, 96), 2), (152, (64, 64), 3)])
def test_simple_baseline(depth, size, seed):
    torchvision = pytest.importorskip("torchvision")
    body = getattr(torchvision.models, f"resnet{depth}")()
    steps = []
    for i in range(3):
        steps += [torch.nn.ConvTranspose2d(256 if i else 2048, 256, 4, 2, 1, bias=False)]
        steps += [torch.nn.BatchNorm2d(256), torch.nn.ReLU()]
    body.deconv_layers, body.final_layer = torch.nn.Sequential(*steps), torch.nn.Conv2d(256, 17, 1)
    body.avgpool, body.fc = torch.nn.Identity(), torch.nn.Identity()
    network, state_dict = drawn(body, seed)
    images = np.random.default_rng(seed).standard_normal((2, *size, 3), np.float32)
    variables = from_state_dict(f"simple_baseline_r{depth}", state_dict)
    ours = jax.jit(SimpleBaseline(depth).apply)(variables, images)
    with torch.inference_mode():
        x = network.maxpool(torch.relu(network.bn1(network.conv1(first(images)))))
        for layer in (network.layer1, network.layer2, network.layer3, network.layer4):
            x = layer(x)
        close(ours, last(network.final_layer(network.deconv_layers(x))), 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "shape", "iterations", "seed"),
    [
        ("small", (128, 136), 1, 1),
        ("small", (133, 150), 5, 2),
        ("small", (250, 129), 3, 3),
        ("basic", (128, 144), 2, 4),
        ("basic", (131, 137), 7, 5),
    ],
)
def test_raft(size, shape, iterations, seed):
    """Sizes that are no multiples of 8 are padded here for torchvision, as the authors' evaluation does."""
    models = pytest.importorskip("torchvision").models.optical_flow
    builder = models.raft_small if size == "small" else models.raft_large
    network, state_dict = drawn(builder(weights=None), seed, quiet=("update_block.flow_head.conv2",))
    rng = np.random.default_rng(seed)
    pair = [rng.integers(0, 256, (1, *shape, 3)).astype(np.float32) for _ in range(2)]
    model = RAFT(size)
    variables = from_state_dict("raft_small" if size == "small" else "raft", state_dict)
    ours = jax.jit(lambda v, a, b: model.apply(v, a, b, iterations, all_flows=True))(variables, *pair)
    (top, bottom), (left, right) = padding_to_stride(*shape)
    assert max(top, bottom, left, right) <= 4 and bottom - top in (0, 1) and right - left in (0, 1)
    padded = [torch.nn.functional.pad(first(i), (left, right, top, bottom), mode="replicate") for i in pair]
    with torch.inference_mode():
        flows = network(*(2 * (i / 255) - 1 for i in padded), num_flow_updates=iterations)
    for found, flow in zip(ours, flows, strict=True):
        theirs = last(flow)[:, top : top + shape[0], left : left + shape[1]]
        close(found, theirs, 1e-4)
    assert np.abs(theirs).max() > 0.5
