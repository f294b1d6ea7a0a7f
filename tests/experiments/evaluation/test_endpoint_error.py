"""Endpoint errors: absent where there is no pixel, refused where the network's flow is no number, kept like others."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from configs import raft_synthetic
from experiments.evaluation import endpoint_error as flow_evaluation
from experiments.evaluation.endpoint_error import evaluate, table
from jmpose_jax.errors import InputError
from jmpose_jax.records import ClipBatch, FlowOutput

PAIRS = [(0, 2), (1, 2), (3, 2), (4, 2)]


class Loader:
    """One batch of one clip whose flow is half a pixel everywhere: nothing moves by more than one."""

    table = (0,)

    def __len__(self):
        return 1

    def __iter__(self):
        rng = np.random.default_rng(0)
        frames = rng.integers(1, 255, (1, 5, 16, 16, 3), dtype=np.uint8)
        yield ClipBatch(
            frames=frames,
            keypoints=np.zeros((1, 15, 2), np.float32),
            joint_weights=np.zeros((1, 15), np.float32),
            transform=np.zeros((1, 2, 3), np.float32),
            box_score=np.ones(1, np.float32),
            index=np.zeros(1, np.int32),
            valid=np.ones(1, np.float32),
            flow=np.full((1, 4, 16, 16, 2), 0.5, np.float32),
        )

    def close(self):
        pass


class Network:
    """A network that says the same everywhere."""

    size, iterations = "small", 1

    def __init__(self, value):
        self.value = value

    def apply(self, variables, batch):
        first = jnp.stack([batch.frames[:, a] for a, _ in PAIRS], 1)
        second = jnp.stack([batch.frames[:, b] for _, b in PAIRS], 1)
        return FlowOutput(flow=jnp.full((1, *first.shape[:-1], 2), self.value), first=first, second=second)


@pytest.fixture
def run(monkeypatch, tmp_path):
    def call(value, **options):
        monkeypatch.setattr(flow_evaluation, "load_variables", lambda path: ({"model": {"size": "small"}}, {}))
        monkeypatch.setattr(flow_evaluation, "find_checkpoint", lambda path: tmp_path / path / "checkpoints" / "7")
        monkeypatch.setattr(flow_evaluation, "create_model", lambda config: Network(value))
        monkeypatch.setattr(flow_evaluation.clips, "evaluate", lambda config: Loader())
        return evaluate(raft_synthetic.get_config(), tmp_path / "run", "weights", **options)

    return call


def test_a_part_without_a_pixel_has_no_error(run, tmp_path, capsys):
    result = run(0.5)
    assert result["endpoint_error"]["network"]["all"] == 0.0
    assert result["endpoint_error"]["zero"]["all"] == pytest.approx(0.5**0.5)
    assert result["endpoint_error"]["zero"]["moving"] is None and "moving" in result["absent"]
    assert json.loads((tmp_path / "run" / "evaluation.json").read_text(), parse_constant=pytest.fail) == result
    assert result["checkpoint"].endswith("weights/checkpoints/7") and result["step"] == 7
    assert "–" in table(result) and result["absent"]["moving"] in table(result)
    assert "compiling" in capsys.readouterr().err


def test_flow_that_is_not_finite_is_refused_and_nothing_is_written(run, tmp_path):
    with pytest.raises(InputError, match="checkpoint weights gives flow that is not finite"):
        run(np.nan)
    assert not (tmp_path / "run").exists()


def test_an_earlier_evaluation_is_kept(run, tmp_path):
    run(0.5)
    run(0.25)
    assert json.loads((tmp_path / "run" / "evaluation-2.json").read_text())["endpoint_error"]["network"]["all"] == 0.0
    with pytest.raises(InputError, match="evaluation.json"):
        run(0.5, if_exists="refuse")
