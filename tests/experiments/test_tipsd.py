"""TIPSD from its config: what is refused before a training begins, and four cells trained as one program."""

import dataclasses
import json

import numpy as np
import pytest

from benchmarks import small_run
from configs import tipsd
from data_pipeline.clips.table import ClipTable
from experiments import grid
from experiments.grids import engines
from experiments.grids.vectorized import run_vectorized
from experiments.train import train
from jmpose_jax.errors import InputError
from jmpose_jax.train.writers import read_metrics


@pytest.fixture
def config(prepared):
    return small_run.shrink(tipsd.get_config("tiny"), prepared)


def test_wrong_gammas_are_refused_before_training(config, tmp_path):
    with pytest.raises(InputError, match=r"cell 1 \(info -1\): config.loss.gamma.info=-1.0: must be"):
        grid.plan(config, {"loss.gamma.info": (0.0, -1.0)}, tmp_path / "grid", checked=True)
    assert not (tmp_path / "grid" / "grid.json").exists()
    config.loss.gamma.red = float("nan")
    with pytest.raises(InputError, match="config.loss.gamma.red=nan"):
        train(config, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def test_synthesis_without_neighbours_is_refused_before_training(config, tmp_path):
    """Clips at a video's ends repeat frames: S would be taught that nothing moves."""
    config.dataset.complete_windows, config.loss.gamma.s = False, 0.0
    with pytest.raises(InputError, match="cell 1 .* config.loss.gamma.s=1.0 synthesizes .*complete_windows=True"):
        grid.plan(config, {"loss.gamma.s": (0.0, 1.0)}, tmp_path / "grid", checked=True)
    config.loss.gamma.s = 0.1
    with pytest.raises(InputError, match="complete_windows=True"):
        train(config, tmp_path / "run", quiet=True)


def test_labels_every_fourth_frame_serve_where_the_frames_between_are_there(config, prepared, tmp_path):
    """L_s skips the key frame, which is labelled: it needs its neighbours' pictures, not their labels."""
    table = ClipTable.load(prepared, "train")
    fourth = table.frames["frame_number"] % 4 == 0
    sparse = table.select(np.flatnonzero(fourth[table.clips["key_record"]]))
    (tmp_path / "features.json").write_bytes((prepared / "features.json").read_bytes())
    config.dataset.root = str(tmp_path)
    kept = {name: column[fourth] for name, column in table.frames.items()}
    place = np.cumsum(fourth) - 1
    clips = sparse.clips | {"key_record": place[sparse.clips["key_record"]]}
    dataclasses.replace(sparse, frames=kept, clips=clips).save(tmp_path, "train")
    with pytest.raises(InputError, match="complete_windows=True leaves out all .*delta=1 on each side"):
        train(config, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()
    # Of 5 frames those with the numbers 0 and 4 are at the ends; with other numbers a labelled one lies inside.
    inner = table.select(np.flatnonzero(table.frames["frame_number"][table.clips["key_record"]] == 2))
    assert len(inner) and (inner.windows(1)[1] == [-1, 0, 1]).all()


@pytest.mark.slow
def test_four_cells_as_one_program(config, tmp_path):
    """Trained and evaluated; what no gamma lets in changes nothing, and each gamma's loss is logged apart."""
    config.train.steps = 2
    found = grid.plan(config, {"loss.gamma.info": (0.0, 1.0), "loss.gamma.s": (0.0, 0.1)}, tmp_path)
    assert run_vectorized(tmp_path, found) == 1
    last = []
    for cell in found.cells:
        folder = engines.cell_folder(tmp_path, cell)
        assert engines.read_status(tmp_path, cell)["status"] == "done"
        assert json.loads((folder / "evaluation.json").read_text())["mean"] >= 0
        last.append(read_metrics(folder)[-1])
    names = ("heatmap", "com", "var", "red", "predictor_fit", "synthesis", "consistency")
    assert all(np.isfinite([line[f"loss/{name}"] for name in names]).all() for line in last)
    assert len({line["loss/com"] for line in last}) > 1 and len({line["loss/synthesis"] for line in last}) > 1
