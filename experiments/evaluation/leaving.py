"""How an evaluation by one process begins and ends: the place of its files is free, and they appear in it together."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from experiments.command.earlier_results import check_place, publish, staging
from experiments.evaluation.page import PAGE, write_page
from jmpose_jax.errors import InputError
from jmpose_jax.files import check_writable, write_json
from jmpose_jax.progress import say

FILE = "evaluation.json"


def check_leaving(workdir: pathlib.Path, if_exists: str, what: str) -> None:
    """Check the place before anything is computed.

    Args:
      workdir: gets the files.
      if_exists: what becomes of an earlier evaluation, see `earlier_results.publish`.
      what: is measured, for messages.

    Raises:
      InputError: several processes are there, or nothing can be written.
    """
    if jax.process_count() > 1:
        raise InputError(f"{what} by one process; add --distributed=off and start one")
    check_writable(workdir, "--workdir")
    check_place(workdir, [FILE, PAGE], if_exists, [])


def leave_files(
    workdir: pathlib.Path,
    if_exists: str,
    result: Mapping[str, Any],
    caption: str,
    rows: Mapping[str, Mapping[str, float | None]],
    columns: Sequence[str],
    digits: int,
    notes: Sequence[str],
) -> None:
    """Leave `evaluation.json` and `evaluation.html`, both or none.

    Args:
      workdir, if_exists: as for `check_leaving`.
      result: the content of `evaluation.json`.
      caption, rows, columns, digits, notes: of the page, as for `write_page`.
    """
    with staging(workdir) as stage:
        write_json(stage / FILE, result)
        write_page(stage / PAGE, caption, rows, columns, digits, notes, result)
        for kept in publish(stage, workdir, [FILE, PAGE], if_exists):
            say(f"the earlier evaluation is kept as {kept}")
