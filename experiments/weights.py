"""`jmpose weights list|get|verify`: published weights by name, fetched once and kept in the user's cache.

`list` names them, `get NAME …` fetches, verifies and converts, `verify` looks at those that are there.
"""

import sys

from absl import flags

from experiments.command.launch import launch
from jmpose_jax.errors import InputError
from jmpose_jax.home import home
from jmpose_jax.weights import published
from jmpose_jax.weights.published import PUBLISHED

ACTIONS = ("list", "get", "verify")


def listing() -> str:
    """A line for each of the published weights: its name, whether it is there, and what it is."""
    lines = []
    for name, row in PUBLISHED.items():
        there = "there" if published.path_of(name).is_file() else "not there"
        lines.append(f"{name:<18} {there:<10} {row.size / published.MEGABYTE:>5.1f} MB  {row.about}")
    package = published.PACKAGE
    lines.append(
        f"from the npm package {package.name}@{package.version} ({package.size / published.MEGABYTE:.0f} MB), licence "
        f"{published.LICENSE}; kept in {home() / 'weights'}"
    )
    return "\n".join(lines)


def verify(names: list[str]) -> str:
    """What there is of some weights, a line each; by default of those that are there.

    Raises:
      InputError: one of them is not whole, or not there where it is named.
    """
    chosen = names or [name for name in PUBLISHED if published.path_of(name).is_file()]
    if not chosen:
        return f"{home() / 'weights'}: no weights are there; `jmpose weights get NAME` fetches some"
    for name in chosen:
        published.load(name)
    return "\n".join(f"{name}: whole, {published.path_of(name)}" for name in chosen)


def main(argv: list[str] | None = None) -> None:
    package = flags.DEFINE_string(
        "package",
        None,
        "With get: the package's .tgz, a folder with its files, or a folder with model.json and its shards as Google's "
        "model hub gives it; by default npm fetches it.",
    )

    def run(words: list[str]) -> None:
        action, *names = words or [""]
        if action not in ACTIONS:
            given = f"{action!r} is no action" if action else "an action is missing"
            raise InputError(f"{given}; use one of {', '.join(ACTIONS)}, e.g. `jmpose weights get movenet_thunder`")
        if package.value is not None and action != "get":
            raise InputError(f"--package goes with get, not with {action}")
        if action == "list":
            if names:
                raise InputError(f"unexpected argument {names[0]!r}: list takes none")
            print(listing())
            return
        names = [published.full_name(name) for name in names]
        for name in names:
            published.published(name)
        if action == "verify":
            print(verify(names))
            return
        if not names:
            raise InputError(f"a name is missing: `jmpose weights get NAME`, one of {', '.join(PUBLISHED)}")
        published.get_all(names, package.value, say=lambda line: print(line, flush=True))

    launch(run, argv, words="list|get NAME …|verify ")


if __name__ == "__main__":
    main(sys.argv)
