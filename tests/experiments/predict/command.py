"""`jmpose predict` in this process, and what it left."""

from absl import flags

from experiments import predict


def run(capsys, *words, **values):
    """Status, standard output and standard error of the command."""
    try:
        predict.main(["jmpose predict", *words, *(f"--{name}={value}" for name, value in values.items())])
        status = 0
    except SystemExit as stop:
        status = stop.code
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def fresh():
    """A command defines its flags when it is called, once in a process; take them away for the next call."""
    of_commands = [f"experiments.command.{name}" for name in ("outputs", "part", "result_files", "tracking")]
    for module in ("experiments.predict", *of_commands):
        for flag in flags.FLAGS.flags_by_module_dict().get(module, [])[:]:
            delattr(flags.FLAGS, flag.name)


def fault(capsys, tmp_path, message, **values):
    status, out, err = run(capsys, output=tmp_path / "out", **values)
    assert status == 2 and out == ""
    line = err.strip().splitlines()[-1]
    assert line.startswith("jmpose predict: ") and message in line
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}
