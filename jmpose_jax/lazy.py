"""Packages that offer the names of their modules without importing them: a command loads what it uses."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def offered(package: str, names: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a package (PEP 562), which import a module when a name of it is asked for.

    Args:
      package: its `__name__`.
      names: what the package offers → the module that holds it, within the package; a name that is the module's own
        stands for the module.

    Returns:
      (`__getattr__`, `__dir__`); the first raises AttributeError for a name that is not offered.
    """

    def get(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(f"{package}.{names[name]}")
        return module if name == names[name] else getattr(module, name)

    return get, lambda: sorted(names)
