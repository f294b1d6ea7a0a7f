"""Result files that the commands and benchmarks write."""

import json
import os
import pathlib
from typing import Any


def write_text(path: pathlib.Path, text: str) -> None:
    """Write UTF-8 text atomically, into a folder that is made where it does not exist."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def write_json(path: pathlib.Path, content: Any) -> None:
    """Write JSON atomically, into a folder that is made where it does not exist."""
    write_text(path, json.dumps(content, indent=1))
