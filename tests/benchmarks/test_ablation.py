"""The ablation's table: a row beside the full model of the same seed, and beside the paper."""

from benchmarks import ablation
from configs import jmpose_ablation
from experiments.grids import cells as grid_cells
from experiments.grids import engines

BASE = {
    "seed": 0,
    "model": {
        "name": "jmpose",
        "motion_encoder": {"kind": "flow"},
        "context_aware_joint_learner": {"kind": "deformable"},
        "mutual_learning": {"kind": "interaction"},
    },
    "loss": {"alpha": 1.0},
}


def test_rows_beside_the_full_model_of_their_seed_and_the_paper(tmp_path):
    worlds = [{"name": str(seed), "seed": seed} for seed in (0, 1)]
    planned = grid_cells.expand(BASE, {"seed": worlds, "method": jmpose_ablation.ROWS})
    found = {("JM-Pose", "0"): 70.0, ("JM-Pose", "1"): 60.0, ("w/o CJL", "0"): 69.0, ("w/o CJL", "1"): 60.5}
    found |= {("w/o JMML", "1"): 60.25}
    for cell in planned.cells:
        ap = found.get((cell.labels["method"], cell.labels["seed"]))
        if ap is not None:
            engines.write_status(tmp_path, cell, "done", ap={"Total": ap})
    rows = ablation.rows_of(planned, tmp_path)
    assert [row["method"] for row in rows] == [row["name"] for row in jmpose_ablation.ROWS]
    lines = ablation.table({"rows": rows, "split": "test", "steps": 9}).splitlines()
    assert lines[2] == "| JM-Pose | 70.0 | 60.0 | – | – | – |"
    assert lines[4] == "| w/o CJL | 69.0 (-1.0) | 60.5 (+0.5) | -0.25 | -0.8 | yes (1 of 2 seeds) |"
    assert lines[5] == "| w/o JMML | – | 60.2 (+0.2) | +0.25 | -1.8 | no (0 of 1 seeds) |"
    assert lines[7] == "| (b) w/o L_IO | – | – | – | -0.6 | – |"
