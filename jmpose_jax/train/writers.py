"""Metrics to `metrics.jsonl` and TensorBoard, from process 0 alone."""

import json
import os
import pathlib
from collections.abc import Mapping

import jax


class MetricsWriter:
    """Appends one JSON object a line; the same numbers go to TensorBoard.

    A run that is started again goes on from a checkpoint that may be older than the last line: lines of later steps are
    dropped at the start, so that every step stands there once.
    """

    def __init__(self, workdir: str | os.PathLike, first_step: int = 0):
        """Open the files of a workdir; lines with a step above `first_step` are removed."""
        self._tensorboard = None
        self._file = None
        if jax.process_index() != 0:
            return
        folder = pathlib.Path(workdir)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "metrics.jsonl"
        if path.exists():
            kept = [line for line in path.read_text().splitlines() if _step_of(line) <= first_step]
            temporary = path.with_suffix(".tmp")
            temporary.write_text("".join(line + "\n" for line in kept))
            os.replace(temporary, path)
        self._file = path.open("a")
        from tensorboardX import SummaryWriter  # imports protobuf: only where something is written

        self._tensorboard = SummaryWriter(str(folder / "tensorboard"), purge_step=first_step + 1)

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Write the scalars of one step."""
        if self._file is None:
            return
        self._file.write(json.dumps({"step": step, **{k: float(v) for k, v in scalars.items()}}) + "\n")
        self._file.flush()
        for name, value in scalars.items():
            self._tensorboard.add_scalar(name, float(value), step)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._tensorboard.close()


def _step_of(line: str) -> float:
    """The step of a line; a line cut short by a crash counts as later than everything."""
    try:
        return json.loads(line)["step"]
    except (json.JSONDecodeError, KeyError, TypeError):
        return float("inf")


def read_metrics(workdir: str | os.PathLike) -> list[dict[str, float]]:
    """The lines of `metrics.jsonl`, in order; an unfinished last line is left out."""
    path = pathlib.Path(workdir) / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if _step_of(line) != float("inf")]
