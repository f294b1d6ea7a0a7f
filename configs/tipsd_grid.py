"""TIPSD's two tables of sensitivity on the embedded data set, beside the figures of its supplement (a reconstruction).

Every gamma over {0, 0.1, 1, 5}; all cells of a table differ in gammas alone, which `--vectorize` trains as one program.
The report lays the supplement's mAP on PoseTrack2017 beside ours and checks what its text says, sentence by sentence.

Variants:
  table1 (default): gamma_info and gamma_s, 16 cells.
  table2: gamma_red, gamma_var and gamma_com at gamma_info 1 and gamma_s 0.1, 64 cells.

  jmpose grid --config configs/tipsd_grid.py:table1 --workdir runs/tipsd_table1 --vectorize \
    --config.dataset.root=DIR --config.init.backbone=runs/backbone
"""

from typing import Any

from ml_collections import ConfigDict

from configs import tipsd

VARIANTS = ("table1", "table2")
VALUES = (0.0, 0.1, 1.0, 5.0)
# mAP by gamma_info (rows) and gamma_s (columns).
TABLE_1 = (
    (83.0, 83.5, 83.9, 83.7),
    (85.4, 85.9, 85.3, 85.2),
    (85.6, 86.2, 85.8, 85.5),
    (85.5, 85.8, 85.7, 85.3),
)
# mAP by gamma_red (blocks), gamma_var (rows) and gamma_com (columns).
TABLE_2 = (
    ((83.9, 84.0, 84.0, 83.7), (84.0, 84.9, 84.9, 84.5), (84.1, 85.0, 85.3, 85.1), (84.0, 84.9, 85.1, 85.0)),
    ((83.9, 85.5, 85.0, 84.8), (84.0, 85.4, 85.4, 85.3), (83.9, 85.6, 85.9, 85.6), (84.0, 85.3, 85.5, 85.5)),
    ((83.8, 85.3, 85.4, 85.3), (83.9, 85.2, 85.8, 85.5), (84.0, 85.5, 86.2, 85.4), (83.9, 85.7, 85.8, 85.5)),
    ((83.8, 84.9, 85.1, 85.4), (83.8, 85.0, 85.2, 85.6), (83.9, 85.2, 85.4, 85.7), (84.0, 85.3, 85.2, 85.6)),
)


def get_config(variant: str = "table1") -> ConfigDict:
    _check(variant)
    return tipsd.get_config("tiny")


def get_grid(variant: str = "table1") -> dict[str, Any]:
    _check(variant)
    names = ("info", "s") if variant == "table1" else ("red", "var", "com")
    axes = {f"loss.gamma.{name}": VALUES for name in names}
    claims = [_rises(name) for name in names]
    if variant == "table1":
        best = dict(zip(axes, ("1", "0.1")))
        return {**axes, "paper": TABLE_1, "claims": [_best(best, "gamma_info 1 and gamma_s 0.1 are best"), *claims]}
    zero = {"axis": "loss.gamma.com", "label": "0"}
    claims = [
        {"says": "L_com is needed for L_var and L_red to matter", "kind": "needed", **zero},
        {"says": "at gamma_com 0 the others change nothing", "kind": "flat", **zero},
        _best(dict.fromkeys(axes, "1"), "all three at 1 are best"),
        *claims,
    ]
    return {**axes, "paper": TABLE_2, "claims": claims}


def _rises(name: str) -> dict[str, Any]:
    says = f"with gamma_{name} the figure rises, then falls"
    return {"says": says, "kind": "rises_then_falls", "axis": f"loss.gamma.{name}"}


def _best(place: dict[str, str], says: str) -> dict[str, Any]:
    return {"says": says, "kind": "best", "place": place}


def _check(variant: str) -> None:
    if variant not in VARIANTS:
        raise ValueError(f"configs/tipsd_grid.py has no variant {variant!r}; use {' or '.join(VARIANTS)}")
