"""What the keys of a config mean: the comments beside the assignments in configs/, the docstrings of the models.

They stay where they are written; here they are only collected.
"""

import ast
import functools
import importlib
import inspect
import io
import pathlib
import pkgutil
import re
import tokenize
from collections.abc import Mapping
from typing import Any

import configs
from experiments.configuration.files import split_source
from jmpose_jax import models
from jmpose_jax.models.parts import KIND, Part, parts_of

CONFIGS = pathlib.Path(configs.__file__).parent
_POINTER = re.compile(r"\bas (?:`?(\w+)`? )?in ([A-Z]\w+)")
_ATTRIBUTE = re.compile(r"\s+([a-z_0-9, ]+): (.+)")


def comments(config: Mapping[str, Any], source: str | None) -> dict[str, str]:
    """The comment of every key of a config that has one.

    Args:
      config: plain data.
      source: the file that it came from, as `--config` gives it.

    Returns:
      Flat key -> comment. That of `configs/common.py`, which says what a key is, comes before the file's own; a key
      without one has that of its section.
    """
    texts = [(CONFIGS / "common.py").read_text(encoding="utf-8")]
    if source is not None and source.split(":")[0].endswith(".py"):
        texts.append(pathlib.Path(split_source(source)[0]).read_text(encoding="utf-8"))
    texts += [path.read_text(encoding="utf-8") for path in sorted(CONFIGS.glob("*.py"))]
    found: dict[str, str] = {}
    for text in texts:
        found = assigned(text) | found
    return found | of_model(config["model"])


def comment_of(key: str, found: Mapping[str, str]) -> str:
    """The comment of a key, or of the nearest section around it that has one."""
    while key and key not in found:
        key = key.rpartition(".")[0]
    return found.get(key, "")


def assigned(text: str) -> dict[str, str]:
    """The comments of `config.KEY = value` in a Python text: behind the assignment, or in the lines above it.

    Of several assignments of one key the first with a comment counts.
    """
    lines = text.splitlines()
    behind = {
        token.start[0]: token.string.lstrip("# ").strip()
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    }
    found: dict[str, str] = {}
    for node in sorted((n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Assign)), key=lambda n: n.lineno):
        keys = [key for target in node.targets for key in _keys(target)]
        if not keys:
            continue
        comment = behind.get(node.end_lineno, "")
        if not comment:
            line = node.lineno - 1
            while line in behind and lines[line - 1].lstrip().startswith("#"):
                comment = f"{behind[line]} {comment}".strip()
                line -= 1
        for key in keys:
            if comment:
                found.setdefault(key, comment)
    return found


def _keys(target: ast.expr) -> list[str]:
    """The flat keys that a target of an assignment names; none where it is not `config.…`."""
    if isinstance(target, ast.Tuple):
        return [key for element in target.elts for key in _keys(element)]
    parts = []
    while isinstance(target, ast.Attribute):
        parts.append(target.attr)
        target = target.value
    return [".".join(reversed(parts))] if parts and isinstance(target, ast.Name) and target.id == "config" else []


def of_model(model: Mapping[str, Any]) -> dict[str, str]:
    """What the docstrings say of a model's options and of those of its parts."""
    from jmpose_jax.systems import SYSTEMS

    found = {"model.name": f"which system: {', '.join(SYSTEMS)}"}
    if model["name"] not in SYSTEMS:
        return found
    made_of = SYSTEMS[model["name"]].module
    found |= {f"model.{name}": text for name, text in _said(made_of).items()}
    for name, part in parts_of(made_of).items():
        if len(part.kinds) > 1:
            found[f"model.{name}.{KIND}"] = f"which: {', '.join(part.kinds)}"
        # Of kinds that share an option the chosen one says it.
        for kind in (*part.kinds.values(), _chosen(part, model.get(name))):
            found |= {
                f"model.{name}.{option}": text for option, text in _said(kind).items() if option in part.options()
            }
    return found


def _said(made_of: type) -> dict[str, str]:
    return explained(attributes(inspect.getdoc(made_of) or ""), made_of)


def _chosen(part: Part, options: Mapping[str, Any] | None) -> type:
    """The class that options choose; the default where they choose none that there is, which is said elsewhere."""
    return part.kinds.get((options or {}).get(KIND), next(iter(part.kinds.values())))


def explained(said: Mapping[str, str], made_of: type) -> dict[str, str]:
    """The entries of a class's docstring, with what they only point at, "as in OtherClass", written out.

    The other class says it of the same name, or of the one in "as NAME in OtherClass".
    """
    found = {}
    for name, text in said.items():
        for pointer in _POINTER.finditer(text):
            other = _classes().get(pointer[2])
            if other is None or other is made_of:
                continue
            there = explained(attributes(inspect.getdoc(other) or ""), other).get(pointer[1] or name, "")
            text = text.replace(pointer[0], there.rstrip(".")) if there else text
        found[name] = text
    return found


@functools.cache
def _classes() -> dict[str, type]:
    """Every module class of jmpose_jax.models by its name."""
    found = {}
    for module in pkgutil.walk_packages(models.__path__, f"{models.__name__}."):
        content = importlib.import_module(module.name)
        found |= {n: x for n, x in vars(content).items() if inspect.isclass(x) and x.__module__ == content.__name__}
    return found


def attributes(docstring: str) -> dict[str, str]:
    """The entries of a docstring's "Attributes:"; several names may share one."""
    lines = docstring.partition("Attributes:\n")[2].splitlines()
    found: dict[str, str] = {}
    names: list[str] = []
    indent = len(lines[0]) - len(lines[0].lstrip()) if lines else 0
    for line in lines:
        depth = len(line) - len(line.lstrip())
        if not line.strip() or depth < indent:
            break
        entry = _ATTRIBUTE.fullmatch(line)
        if depth == indent and entry:
            names = [name.strip() for name in entry[1].split(",")]
            found |= dict.fromkeys(names, entry[2])
        else:
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
    return found
