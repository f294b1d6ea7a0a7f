"""`jmpose doctor`: versions, devices, and what this machine can run."""

import contextlib
import importlib.metadata
import os
import platform
import sys
import time
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from experiments.command.compiled import keep_compiled
from experiments.command.launch import launch
from jmpose_jax.inference.detectors import HogDetector
from jmpose_jax.inference.video.reader import mp4_codecs
from jmpose_jax.ops import deform_conv
from jmpose_jax.ops.optical_flow import dis_flow

PACKAGES = (
    "jmpose-jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "tensorflow-datasets", "numpy",
    "opencv-python-headless", "av", "ml-collections", "shapely", "scipy",
)  # fmt: skip
GIB = 2**30


def versions() -> Iterator[tuple[str, str]]:
    """Python, the system, and the packages in use."""
    yield "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    for name in PACKAGES:
        try:
            yield name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield name, "run from its folder" if name == "jmpose-jax" else "not installed"


def machine() -> Iterator[tuple[str, str]]:
    """Cores, memory, and the devices that JAX sees."""
    yield "cores", f"{len(os.sched_getaffinity(0))} usable of {os.cpu_count()}"
    yield "memory", f"{memory_bytes() / GIB:.1f} GiB"
    for device in jax.devices():
        stats = device.memory_stats() or {}
        limit = f", {stats['bytes_limit'] / GIB:.1f} GiB" if "bytes_limit" in stats else ""
        yield f"device {device.id}", f"{device.platform}: {device.device_kind}{limit}"


def programs() -> Iterator[tuple[str, str]]:
    """Where compiled programs are kept."""
    folder = keep_compiled()
    if folder is None or not jax.config.jax_enable_compilation_cache:
        yield "compiled programs", "are not kept"
        return
    size = sum(path.stat().st_size for path in folder.glob("*-cache"))
    yield "compiled programs", f"{size / 1e6:.0f} MB in {folder}"


def memory_bytes() -> int:
    """The memory of the machine or, where it is less, of the container."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        with open("/sys/fs/cgroup/memory.max", encoding="ascii") as file:
            limit = file.read().strip()
    except OSError:
        return total
    return min(total, int(limit)) if limit.isdigit() else total


def _deform_example() -> tuple[jax.Array, ...]:
    keys = jax.random.split(jax.random.key(0), 4)
    x = jax.random.normal(keys[0], (1, 12, 9, 8))
    offset = 2 * jax.random.normal(keys[1], (1, 12, 9, 2, 9, 2))
    mask = jax.random.uniform(keys[2], (1, 12, 9, 2, 9))
    return x, offset, mask, jax.random.normal(keys[3], (3, 3, 8, 8))


def deformable_convolution() -> Iterator[tuple[str, str]]:
    """Each implementation tried on a small input and compared with the plain one; which is the default, and why."""
    example = _deform_example()
    with jax.default_matmul_precision("highest"):
        expected = np.asarray(deform_conv.modulated_deform_conv2d(*example, implementation="xla"))
        for name in sorted(deform_conv.IMPLEMENTATIONS):
            if name.endswith("_interpret"):  # for tests: these run everywhere and tell nothing about the machine
                continue
            try:
                found = np.asarray(deform_conv.modulated_deform_conv2d(*example, implementation=name))
                yield (
                    f"deformable convolution {name}",
                    f"runs; differs from xla by {np.abs(found - expected).max():.1e}",
                )
            except Exception as error:  # a kernel for other hardware fails in ways of its own
                yield f"deformable convolution {name}", f"does not run here ({' '.join(str(error).split())[:100]})"
    choice = deform_conv.choose(_paper_geometry(), np.dtype(np.float32))
    yield "deformable convolution, by default", f"{choice.implementation}: {choice.reason}"


def _paper_geometry() -> deform_conv.Geometry:
    """The deformable convolution of the paper's configuration, a batch of one for each device."""
    taps = (jax.device_count(), 96, 72, 12, 9)
    shapes = ((*taps[:3], 48), (*taps, 2), taps, (3, 3, 48, 48))
    return deform_conv.geometry(*(jax.ShapeDtypeStruct(s, np.float32) for s in shapes), None, 1, 1, 1)


@contextlib.contextmanager
def _encoders_silent() -> Iterator[None]:
    """x265 and SVT-AV1 write their settings to standard error, past Python and past FFmpeg's log."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def video() -> Iterator[tuple[str, str]]:
    """What can be written, and the speed of the parts of prediction that run in OpenCV."""
    with _encoders_silent():
        works = [codec for codec, ok in mp4_codecs().items() if ok]
    yield "mp4 codecs", ", ".join(works) or "none; `jmpose predict` cannot write overlay.mp4"
    texture = np.random.default_rng(0).integers(0, 255, (480, 640, 3)).astype(np.uint8)
    detector = HogDetector()
    start = time.perf_counter()
    detector(0, texture)
    yield "HOG person detector", f"{1e3 * (time.perf_counter() - start):.0f} ms for 640×480"
    crops = np.stack([texture[:128, :96], texture[1:129, 1:97]])
    start = time.perf_counter()
    dis_flow(crops, ((0, 1),))
    yield "DIS flow", f"{1e3 * (time.perf_counter() - start):.1f} ms for 96×128"


def matrix_speed() -> Iterator[tuple[str, str]]:
    """The speed of a large product, for an idea of training time."""
    a = jnp.ones((1024, 1024))
    product = jax.jit(lambda x: x @ x)
    product(a).block_until_ready()
    start = time.perf_counter()
    for _ in range(5):
        product(a).block_until_ready()
    yield "float32 product", f"{5 * 2 * 1024**3 / (time.perf_counter() - start) / 1e9:.0f} GFLOP/s on {a.device}"


def report() -> str:
    """The whole report as aligned lines."""
    rows = [
        row for part in (versions, machine, programs, deformable_convolution, video, matrix_speed) for row in part()
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def main(argv: list[str] | None = None) -> None:
    def run() -> None:
        print(report())

    launch(run, argv)


if __name__ == "__main__":
    main(sys.argv)
