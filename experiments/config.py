"""`jmpose config`: every key of a config with its value, its type and its meaning.

Of a config file (--config), or of a run (--workdir), with the changes of --config.KEY=VALUE.
"""

import sys
from collections.abc import Mapping
from typing import Any

from absl import flags

from experiments.command.launch import launch, show
from experiments.configuration.changes import flatten
from experiments.configuration.comments import comment_of, comments
from experiments.configuration.flag import define_config, required_config

WIDTH = 48  # characters that a key and its value take before the comment


def listing(config: Mapping[str, Any], source: str | None = None) -> str:
    """A line a key: `KEY = VALUE  # TYPE; meaning`.

    Args:
      config: plain data.
      source: the file that it came from, as `--config` gives it; its comments are read.
    """
    found = comments(config, source)
    lines = []
    for key, value in flatten(config):
        comment = comment_of(key, found)
        about = f"{type(value).__name__}{'; ' if comment else ''}{comment}"
        lines.append(f"{f'{key} = {value!r}':<{WIDTH}}  # {about}")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    config = define_config("Config file, e.g. configs/jmpose.py:tiny.", saved_in=("workdir",))
    flags.DEFINE_string("workdir", None, "Folder of a run, whose config is listed.")

    def run() -> None:
        required_config(config)
        show(listing(config.value.to_dict(), flags.FLAGS["config"].config_filename))

    launch(run, argv)


if __name__ == "__main__":
    main(sys.argv)
