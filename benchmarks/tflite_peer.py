"""Times .tflite models under LiteRT, in a process and an environment of its own: nothing of this project is imported.

PYTHON benchmarks/tflite_peer.py INPUTS.npz MODEL NAME [MODEL NAME …]

NAME is the array of INPUTS.npz that a model reads, uint8 [N, H, W, 3], as float32 in 0..1, one after another. Each line
on standard input asks for one round over all models, which is answered by a line of JSON: a list of
{"seconds": wall time, "cpu": time of the process's threads} a model. The first line that is written gives the versions.
"""

import importlib.metadata
import json
import os
import sys
import time

import numpy as np
from ai_edge_litert.interpreter import Interpreter


def prepared(path: str, images: np.ndarray) -> tuple[Interpreter, int, np.ndarray]:
    """An interpreter of all cores, the index of its input, and the images as it reads them."""
    interpreter = Interpreter(path, num_threads=len(os.sched_getaffinity(0)))
    interpreter.allocate_tensors()
    (entry,) = interpreter.get_input_details()
    height, width = entry["shape"][1:3]
    if images.shape[1:3] != (height, width):
        raise SystemExit(f"{path} reads {height}x{width}, the images are {images.shape[1]}x{images.shape[2]}")
    return interpreter, entry["index"], images.astype(np.float32) / 255


def one_round(interpreter: Interpreter, index: int, images: np.ndarray) -> dict[str, float]:
    """Run the model on every image."""
    wall, cpu = time.perf_counter(), time.process_time()
    for image in images:
        interpreter.set_tensor(index, image[None])
        interpreter.invoke()
    return {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def main() -> None:
    arrays = np.load(sys.argv[1])
    models = [prepared(path, arrays[name]) for path, name in zip(sys.argv[2::2], sys.argv[3::2])]
    for interpreter, index, images in models:
        one_round(interpreter, index, images[:1])
    versions = {"ai-edge-litert": importlib.metadata.version("ai-edge-litert"), "numpy": np.__version__}
    print(json.dumps(versions), flush=True)
    for _ in sys.stdin:
        print(json.dumps([one_round(*model) for model in models]), flush=True)


if __name__ == "__main__":
    main()
