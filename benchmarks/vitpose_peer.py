"""ViTPose-B's forward pass on CPUs beside the transformers library's, with the same weights, in one process.

Needs the extra `torch` and the transformers library. Both run in turns, so that what else the machine does meets
both; where it does much, their time on the processors tells more than the clock, of one thread each the most:

OMP_NUM_THREADS=1 taskset -c 0 python benchmarks/vitpose_peer.py
"""

import argparse
import pathlib
import time

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.measure import machine
from jmpose_jax.files import write_json
from jmpose_jax.weights import from_state_dict, published_model

RESULT = pathlib.Path(__file__).parent / "results" / "vitpose_peer.json"
HEIGHT, WIDTH = 256, 192


def peer(decoder: str):
    """The library's ViTPose-B with random weights."""
    import torch
    from transformers import VitPoseBackboneConfig, VitPoseConfig, VitPoseForPoseEstimation

    torch.manual_seed(0)
    backbone = VitPoseBackboneConfig(image_size=(HEIGHT, WIDTH), out_indices=[12], layer_norm_eps=1e-6)
    config = VitPoseConfig(backbone_config=backbone, use_simple_decoder=decoder == "simple", num_labels=17)
    return VitPoseForPoseEstimation(config).eval()


def compare(decoder: str, batch: int, rounds: int) -> dict[str, float]:
    """Milliseconds of a call by the clock and of the processors, the least of each, ours over theirs, and how far the
    heatmaps differ, relative to the largest value."""
    import torch

    theirs = peer(decoder)
    name = "vitpose_b_simple" if decoder == "simple" else "vitpose_b"
    variables = from_state_dict(name, {key: value.numpy() for key, value in theirs.state_dict().items()})
    forward = jax.jit(published_model(name).apply)
    images = np.random.default_rng(0).standard_normal((batch, HEIGHT, WIDTH, 3)).astype(np.float32)
    variables, ours_in = jax.device_put(variables), jnp.asarray(images)
    theirs_in = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())

    def ours() -> np.ndarray:
        return np.asarray(forward(variables, ours_in))

    def library() -> np.ndarray:
        with torch.inference_mode():
            return theirs(theirs_in).heatmaps.numpy()

    expected = library().transpose(0, 2, 3, 1)
    difference = float(np.abs(ours() - expected).max() / np.abs(expected).max())
    times: dict[str, list[tuple[float, float]]] = {"ours": [], "transformers": []}
    for _ in range(rounds):
        for which, call in (("ours", ours), ("transformers", library)):
            start = np.array([time.perf_counter(), time.process_time()])
            call()
            times[which].append(tuple(1e3 * (np.array([time.perf_counter(), time.process_time()]) - start)))
    found = {"largest_difference": difference}
    for which, values in times.items():
        found[f"{which}_ms"], found[f"{which}_processor_ms"] = (float(least) for least in np.min(values, 0))
    for kind in ("ms", "processor_ms"):
        found[f"ratio_{kind}"] = found[f"ours_{kind}"] / found[f"transformers_{kind}"]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=4, help="images of a call")
    parser.add_argument("--rounds", type=int, default=12, help="measurements of each")
    parser.add_argument("--output", type=pathlib.Path, default=RESULT, help="the JSON file to write")
    options = parser.parse_args()
    import torch

    rows = {decoder: compare(decoder, options.batch, options.rounds) for decoder in ("classic", "simple")}
    about = {"batch": options.batch, "image": [HEIGHT, WIDTH], "threads": torch.get_num_threads()}
    result = {"machine": machine("torch", "transformers", "flax"), **about, "rows": rows}
    write_json(options.output, result)
    for decoder, row in rows.items():
        print(
            f"{decoder}: {row['ours_ms']:.0f} ms, transformers {row['transformers_ms']:.0f} ms: {row['ratio_ms']:.2f}"
        )
        print(
            f"  of the processors {row['ratio_processor_ms']:.2f}; heatmaps differ by {row['largest_difference']:.1e}"
        )


if __name__ == "__main__":
    main()
