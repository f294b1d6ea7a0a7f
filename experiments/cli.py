"""The `jmpose` command: `jmpose NAME …` runs `python -m experiments.NAME …`."""

import difflib
import importlib
import sys

from experiments.command.ending import guarded
from jmpose_jax import __version__, stopping

COMMANDS = {
    "quickstart": "the whole road on the embedded data set: data, training, evaluation, report",
    "prepare": "annotations and frames to TFRecord shards",
    "browse": "an HTML page of what training sees of a prepared folder",
    "config": "every key of a config with its value and meaning",
    "train": "train a model from a config",
    "evaluate": "PoseTrack AP of a trained model, or of prediction files",
    "grid": "every cell of an ablation grid: table, heat map, best cell",
    "predict": "poses in videos and pictures: overlay, page, JSON and CSV",
    "refine": "poses of any estimator made steadier over time",
    "convert": "a published PyTorch checkpoint to a checkpoint of ours",
    "weights": "published weights by name: list, get, verify",
    "doctor": "versions, devices, and what this machine can run",
}


def usage() -> str:
    lines = [f"  {name:<11} {text}" for name, text in COMMANDS.items()]
    return "usage: jmpose COMMAND [flags]\n\n" + "\n".join(lines) + "\n\n`jmpose COMMAND --help` lists its flags."


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help", "help"):
        print(usage())
        sys.exit(0)
    name = sys.argv[1]
    if name in ("--version", "version"):
        print(f"jmpose {__version__}")
        sys.exit(0)
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, 1)
        hint = f"did you mean {near[0]!r}?" if near else "`jmpose --help` says what they do"
        print(f"jmpose: no command {name!r}; the commands are {', '.join(COMMANDS)}; {hint}", file=sys.stderr)
        sys.exit(2)

    def command() -> None:
        module = importlib.import_module(f"experiments.{name}")
        module.main([f"jmpose {name}", *sys.argv[2:]])

    with stopping.installed():
        guarded(f"jmpose {name}", command)


if __name__ == "__main__":
    main()
