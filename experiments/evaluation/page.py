"""`evaluation.html`: the figures of an evaluation as a page, beside `evaluation.json`."""

import html
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jmpose_jax.files import write_text
from jmpose_jax.pages import page, table

PAGE = "evaluation.html"


def write_page(
    path: pathlib.Path,
    caption: str,
    rows: Mapping[str, Mapping[str, float | None]],
    columns: Sequence[str],
    digits: int,
    notes: Iterable[str],
    result: Mapping[str, Any],
) -> None:
    """Write the page.

    Args:
      path: of the page.
      caption: what the figures are, and of what.
      rows: name -> {column: figure}; None where there is none.
      columns: of the table, in order.
      digits: behind the point.
      notes: what must be known of the figures.
      result: the content of `evaluation.json`; says what was evaluated.
    """
    shown = [
        [name, *("–" if values[column] is None else f"{values[column]:.{digits}f}" for column in columns)]
        for name, values in rows.items()
    ]
    facts = {
        key: result[key] for key in ("checkpoint", "step", "split", "ground_truth", "predictions") if key in result
    }
    body = ["<h1>Evaluation</h1>", f"<p>{html.escape(caption)}</p>", table(["", *columns], shown)]
    body += ["<ul>", *(f"<li>{html.escape(note)}</li>" for note in notes), "</ul>"]
    body += [
        "<h2>What was evaluated</h2>",
        table(["", ""], [[key.replace("_", " "), str(v)] for key, v in facts.items()]),
    ]
    write_text(path, page("Evaluation", "\n".join(body)))
