"""Writes the checkpoint files of this folder with PyTorch (2.15.0 wrote those that are here), and what they hold.

python tests/golden/torch/make.py
"""

import pathlib

import numpy as np
import torch

FOLDER = pathlib.Path(__file__).parent


def main() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Linear(4, 2))
    optimizer = torch.optim.Adam(net.parameters())
    net[2](torch.zeros(1, 4)).sum().backward()
    optimizer.step()
    state = net.state_dict()
    base = torch.arange(24.0).reshape(4, 6)
    parallel = {f"module.{key}": value for key, value in state.items()}
    contents = {
        "plain": state,
        "wrapped": {"epoch": 3, "state_dict": parallel, "optimizer": optimizer.state_dict(), "best": 0.5},
        "half": {k: v.half() if v.is_floating_point() else v for k, v in state.items()},
        "bfloat16": {k: v.bfloat16() if v.is_floating_point() else v for k, v in state.items()},
        "parameters": dict(net.named_parameters()),
        "views": {
            "transposed": base.t(),
            "slice": base[1:3, 2:5],
            "whole": base,
            "scalar": torch.tensor(2.5),
            "empty": torch.zeros(0, 3),
            "bool": torch.tensor([True, False]),
            "double": torch.tensor([1.0, 2.0], dtype=torch.float64),
        },
    }
    expected = {}
    for name, content in contents.items():
        torch.save(content, FOLDER / f"{name}.zip.pth")
        torch.save(content, FOLDER / f"{name}.legacy.pth", _use_new_zipfile_serialization=False)
        for key, value in content.get("state_dict", content).items():
            value = value.detach().float() if value.dtype in (torch.half, torch.bfloat16) else value.detach()
            expected[f"{name}/{key.removeprefix('module.')}"] = value.numpy()
    torch.save(net, FOLDER / "whole_module.pth")
    np.savez(FOLDER / "expected.npz", **expected)


if __name__ == "__main__":
    main()
