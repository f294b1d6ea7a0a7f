"""Which files a run leaves."""

import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.inference.outputs import deeplabcut, formats


@pytest.mark.parametrize("extra", [False, True])
@pytest.mark.parametrize("chosen", [(), ("coco",), ("mot", "dlc"), formats.FORMATS])
def test_what_is_named_is_written(people, tmp_path, monkeypatch, chosen, extra):
    if extra and not deeplabcut.has_hdf5():
        pytest.skip("pandas and PyTables are not installed")
    monkeypatch.setattr(deeplabcut, "has_hdf5", lambda: extra)
    formats.write_files(people, tmp_path, chosen)
    found = sorted(path.name for path in tmp_path.iterdir())
    assert found == sorted(formats.files_of(chosen)) and set(found) <= set(formats.ALL_FILES)
    assert bool(formats.missing_extra(chosen)) == ("dlc" in chosen and not extra)


def test_an_unknown_form():
    assert formats.check_formats(["mot", "coco", "mot"]) == ("mot", "coco")
    with pytest.raises(InputError, match="--formats=xml .*coco"):
        formats.check_formats(["coco", "xml"])


@pytest.mark.parametrize("name", ["poses.json", "poses.csv", "poses.coco.json", "poses.dlc.csv", "poses.mot.txt"])
def test_what_is_not_finite_is_in_no_file(people, tmp_path, name):
    people.keypoints[2, 3, 0] = np.nan
    writers = {**{name: write for files in formats.WRITERS.values() for name, write in files.items()},
               "poses.json": formats.write_posetrack18, "poses.csv": formats.write_csv}  # fmt: skip
    with pytest.raises(InputError, match="person 0 in frame 2"):
        writers[name](people, tmp_path / name)
    assert not list(tmp_path.iterdir())
