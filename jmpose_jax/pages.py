"""Pages that open from disk: one look for all reports, everything in one file, nothing fetched."""

import base64
import functools
import html
import importlib.resources
import json
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import unquote

PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".svg": "image/svg+xml"}
# What a browser may load: what is in the page, and pictures and videos beside it. Scripts are the page's own.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src 'self' file: data:; media-src 'self' file: data:"
)


@functools.cache
def asset(name: str) -> str:
    """The text of a file of `jmpose_jax/assets`."""
    return (importlib.resources.files("jmpose_jax") / "assets" / name).read_text(encoding="utf-8")


def page(title: str, body: str, *, style: str = "", script: str = "", data: Any = None) -> str:
    """A whole HTML page in the look of all reports.

    Args:
      title: plain text.
      body: HTML.
      style: CSS after that of all pages.
      script: JavaScript, run when the body is there.
      data: JSON that the script finds in the element `data`.

    Returns:
      The page, to be written as UTF-8.
    """
    parts = [
        "<!doctype html>",
        '<html lang="en">',
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{html.escape(title)}</title>",
        f"<style>\n{asset('page.css')}{style}</style>",
        f"<main>\n{body}\n</main>",
    ]
    if data is not None:
        # No text within may end the element.
        content = json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
        parts.append(f'<script type="application/json" id="data">{content}</script>')
    if script:
        parts.append(f"<script>\n{script}</script>")
    return "\n".join([*parts, "</html>", ""])


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of plain texts as HTML; a head of empty texts alone is left out."""
    lines = ['<div class="scroll"><table>']
    if any(head):
        lines.append(f"<thead><tr>{''.join(f'<th>{html.escape(text)}</th>' for text in head)}</tr></thead>")
    for row in rows:
        lines.append(f"<tr>{''.join(f'<td>{html.escape(text)}</td>' for text in row)}</tr>")
    return "\n".join([*lines, "</table></div>"])


def markdown_page(text: str, folder: pathlib.Path) -> str:
    """The page of a Markdown report: its pictures within, its videos to be played.

    Args:
      text: Markdown; HTML within it is shown as text.
      folder: where the report lies; what it shows is looked for there.
    """
    from markdown_it import MarkdownIt  # the other pages do without
    from markdown_it.token import Token

    reader = MarkdownIt("js-default")
    tokens = reader.parse(text)
    title = next((tokens[i + 1].content for i, token in enumerate(tokens) if token.type == "heading_open"), "Report")
    shown = []
    for token in tokens:
        if token.type == "table_open":
            shown.append(Token("html_block", "", 0, content='<div class="scroll">\n'))
        shown.append(token)
        if token.type == "table_close":
            shown.append(Token("html_block", "", 0, content="</div>\n"))
        for part in token.children or ():
            if part.type == "image":
                part.attrs["src"] = embedded(str(part.attrs["src"]), folder)
        if token.type == "inline":
            players = [_player(place) for place in _videos(token, folder)]
            shown += [Token("html_inline", "", 0, content=player) for player in players]
    return page(title, reader.renderer.render(shown, reader.options, {}))


def embedded(place: str, folder: pathlib.Path) -> str:
    """A picture beside a report as a data: URL; the place itself where there is none."""
    path = folder / unquote(place)
    kind = PICTURES.get(path.suffix.lower())
    if kind is None or not path.is_file():
        return place
    return data_url(path, kind)


def data_url(path: pathlib.Path, kind: str) -> str:
    """A file's content as a data: URL of a MIME type."""
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _videos(inline: Any, folder: pathlib.Path) -> list[str]:
    links = [str(part.attrs["href"]) for part in inline.children or () if part.type == "link_open"]
    return [place for place in links if place.endswith(".mp4") and (folder / unquote(place)).is_file()]


def _player(place: str) -> str:
    # Within the paragraph that names it, hence a line of its own by CSS of the element.
    return f'<br><video controls muted playsinline preload="auto" src="{html.escape(place)}"></video>\n'
