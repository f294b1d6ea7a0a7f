"""Speed of the embedded data set's renderer: frames a second and core, with labels, JPEG and files on disk.

python -m benchmarks.render --videos 60 --output render.json
"""

import argparse
import json
import pathlib
import platform
import tempfile
import time

from data_pipeline.synthetic.dataset import SyntheticConfig, generate


def measure(videos: int, flow: bool, seed: int = 0) -> dict[str, float]:
    """Renders videos to a temporary folder with one process.

    Args:
      videos: how many, of the default settings.
      flow: also the exact flow of all written pairs.
      seed: of the videos.

    Returns:
      Frames a second by the processor's time (what one core delivers when nothing else runs on it) and by the clock.
    """
    config = SyntheticConfig()
    with tempfile.TemporaryDirectory() as folder:
        generate(folder, num_videos={"train": 1}, num_processes=1, progress=False)  # loads the libraries
        processor, clock = time.process_time(), time.perf_counter()
        summary = generate(
            folder, num_videos={"train": videos}, seed=seed, num_processes=1, flow=flow, progress=False, config=config
        )
        processor, clock = time.process_time() - processor, time.perf_counter() - clock
    frames = summary["train"]["frames"]
    return {
        "frames": frames,
        "people_a_frame": round(summary["train"]["annotations"] / frames, 2),
        "frames_per_second_and_core": round(frames / processor, 1),
        "frames_per_second_wall": round(frames / clock, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=int, default=60)
    parser.add_argument("--output", type=pathlib.Path, help="JSON file; printed in any case")
    arguments = parser.parse_args()
    config = SyntheticConfig()
    result = {
        "machine": platform.processor() or platform.machine(),
        "size": [config.width, config.height],
        "images_and_labels": measure(arguments.videos, flow=False),
        "with_exact_flow": measure(max(1, arguments.videos // 3), flow=True),
    }
    text = json.dumps(result, indent=2)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
