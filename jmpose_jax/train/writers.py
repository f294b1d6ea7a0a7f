"""Metrics to `metrics.jsonl` and TensorBoard, from process 0 alone."""

import contextlib
import json
import math
import os
import pathlib
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import jax

from jmpose_jax.errors import InputError, NoSpace, is_full_disk
from jmpose_jax.files import write_text

FILE = "metrics.jsonl"
UNREADABLE = "metrics.unreadable"


class MetricsWriter:
    """Appends one JSON object a line; the same numbers go to TensorBoard.

    A run that is started again goes on from a checkpoint that may be older than the last line: lines of later steps are
    dropped at the start, so that every step stands there once. Lines that are no metrics are moved to
    `metrics.unreadable`, and a line on standard error says so. A number that is not finite is null: JSON has none.
    """

    def __init__(self, workdir: str | os.PathLike, first_step: int = 0):
        """Open the files of a workdir; lines with a step above `first_step` are removed.

        Raises:
          InputError: a file cannot be read or written.
          NoSpace: the disk is full.
        """
        self._tensorboard = None
        self._file = None
        if jax.process_index() != 0:
            return
        folder = pathlib.Path(workdir)
        self._path = path = folder / FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _drop_later(path, first_step)
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            if is_full_disk(error):
                raise self._no_space() from error
            raise InputError(f"{path}: cannot be read and written ({error.strerror}); move it away") from error
        with self._told_of_full_disk():
            self._tensorboard = _Events(folder / "tensorboard", first_step)

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Write the scalars of one step.

        Raises:
          NoSpace: the disk is full.
        """
        if self._file is None:
            return
        with self._told_of_full_disk():
            values = {name: float(value) for name, value in scalars.items()}
            self._file.write(_line({"step": step, **values}) + "\n")
            self._file.flush()
            self._tensorboard.write(step, values)

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
            raise self._no_space() from error

    def _no_space(self) -> NoSpace:
        return NoSpace(f"no space left to write {self._path}: free space and start the same command again")


class _Events:
    """TensorBoard's file of events, written by the thread that calls.

    tensorboardX's `SummaryWriter` writes in a thread of its own. On a full disk that thread dies, and the caller waits
    for ever for room in its queue.
    """

    FLUSH_SECONDS = 30.0

    def __init__(self, folder: pathlib.Path, first_step: int):
        # These import protobuf: only where something is written.
        from tensorboardX import event_file_writer, summary
        from tensorboardX.proto import event_pb2

        folder.mkdir(parents=True, exist_ok=True)
        self._event, self._scalar = event_pb2.Event, summary.scalar
        self._writer = event_file_writer.EventsWriter(str(folder / "events"), f".{os.getpid()}")
        self._flushed = time.monotonic()
        # TensorBoard hides what an earlier file holds of later steps.
        started = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._add(first_step + 1, session_log=started)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._add(step, summary=self._scalar(name, value))
        if time.monotonic() - self._flushed > self.FLUSH_SECONDS:
            self._writer.flush()
            self._flushed = time.monotonic()

    def close(self) -> None:
        self._writer.close()

    def _add(self, step: int, **what: Any) -> None:
        self._writer.write_event(self._event(step=step, wall_time=time.time(), **what))


def _drop_later(path: pathlib.Path, first_step: int) -> None:
    """Leave the lines up to a step; what is no line of metrics is put aside, but for the last, which a crash cut."""
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    kept, foreign = [], []
    for number, line in enumerate(lines, 1):
        content = _content(line)
        if content is None and number < len(lines):
            foreign.append(line)
        elif content is not None and content["step"] <= first_step:
            kept.append(_line(content))
    if foreign:
        aside = path.with_name(UNREADABLE)
        with aside.open("a", encoding="utf-8", errors="surrogateescape") as file:
            file.writelines(line + "\n" for line in foreign)
        print(f"{path}: {len(foreign)} of {len(lines)} lines are no metrics; moved to {aside}", file=sys.stderr)
    write_text(path, "".join(line + "\n" for line in kept))


def _line(content: Mapping[str, Any]) -> str:
    """One line of the file."""
    finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in content.items()}
    return json.dumps(finite, allow_nan=False)


def _content(line: str) -> dict[str, Any] | None:
    """What a line holds; None where it is no line of metrics."""
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return None
    step = content.get("step") if isinstance(content, dict) else None
    return content if isinstance(step, (int, float)) and math.isfinite(step) else None


def read_metrics(workdir: str | os.PathLike) -> list[dict[str, float]]:
    """The lines of `metrics.jsonl`, in order; what is no line of metrics, as an unfinished last one, is left out.

    A value that was not finite is NaN.
    """
    path = pathlib.Path(workdir) / FILE
    if not path.exists():
        return []
    found = map(_content, path.read_text(encoding="utf-8", errors="replace").splitlines())
    return [{k: math.nan if v is None else v for k, v in content.items()} for content in found if content is not None]
