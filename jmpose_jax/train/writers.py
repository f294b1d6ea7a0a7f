"""Metrics to `metrics.jsonl` and TensorBoard, from process 0 alone."""

import contextlib
import json
import os
import pathlib
import sys
from collections.abc import Iterator, Mapping

import jax

from jmpose_jax.errors import NoSpace, is_full_disk


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
        self._path, self._file = path, path.open("a")
        from tensorboardX import SummaryWriter  # imports protobuf: only where something is written

        self._tensorboard = SummaryWriter(str(folder / "tensorboard"), purge_step=first_step + 1)

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Write the scalars of one step.

        Raises:
          NoSpace: the disk is full.
        """
        if self._file is None:
            return
        with self._told_of_full_disk():
            self._file.write(json.dumps({"step": step, **{k: float(v) for k, v in scalars.items()}}) + "\n")
            self._file.flush()
            for name, value in scalars.items():
                self._tensorboard.add_scalar(name, float(value), step)

    def close(self) -> None:
        """Write what is not yet written.

        Raises:
          NoSpace: the disk is full; not while another exception is on its way, which says more.
        """
        if self._file is None:
            return
        on_its_way = sys.exc_info()[1]
        try:
            with self._told_of_full_disk():
                self._file.close()
                self._tensorboard.close()
        except NoSpace:
            if on_its_way is None:
                raise

    @contextlib.contextmanager
    def _told_of_full_disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not is_full_disk(error):
                raise
            message = f"no space left to write {self._path}: free space and start the same command again"
            raise NoSpace(message) from error


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
