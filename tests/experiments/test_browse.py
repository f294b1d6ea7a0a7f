"""The page of what training sees: every picture is in it, and faults are one line."""

import base64
import os
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest

from data_pipeline.clips.loader import make_loader
from data_pipeline.clips.options import ClipOptions
from experiments.browse import browse, run
from jmpose_jax.errors import InputError


def pictures(page):
    found = re.findall("alt='([^']*)' src='data:image/jpeg;base64,([^']*)'", page.read_text())
    decoded = [(t, cv2.imdecode(np.frombuffer(base64.b64decode(d), np.uint8), cv2.IMREAD_COLOR)) for t, d in found]
    return [(text, image[..., ::-1]) for text, image in decoded]


def test_page_of_plain_crops(prepared, tmp_path):
    options = dict(split="test", clips=3, delta=1, input_size=(64, 48), flow_source="dis")
    assert browse(prepared, tmp_path / "page.html", augmented=False, **options) == 3
    found = pictures(tmp_path / "page.html")
    assert len(found) == 3 * (3 + 1 + 2) and all(image.shape == (64, 48, 3) for _, image in found)
    batch = next(make_loader(prepared, "test", ClipOptions(1, (64, 48)), batch_size=3))
    for clip in range(3):
        captions = [text for text, _ in found[6 * clip : 6 * clip + 6]]
        assert [c.split(",")[0] for c in captions] == ["t-1", "key frame", "t+1", "targets", "flow 1", "flow 2"]
        difference = np.abs(found[6 * clip][1].astype(int) - batch.frames[clip, 0])
        assert difference.mean() < 8  # JPEG
        joints = int((batch.joint_weights[clip] > 0).sum())
        assert captions[1] == f"key frame, {joints} joints"
        # The target glows where a joint is.
        x, y = batch.keypoints[clip][np.argmax(batch.joint_weights[clip])].round().astype(int)
        target = found[6 * clip + 3][1].astype(int)
        assert target[y, x].max() > np.median(target.max(axis=-1))


def test_augmented_page_differs_by_seed(prepared, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        browse(prepared, tmp_path / name, clips=2, delta=0, input_size=(64, 48), flow_source="none", seed=seed)
    a, b, c = ((tmp_path / name).read_text() for name in "abc")
    assert a == b != c


def test_a_frame_that_stands_in_for_another_says_so(prepared, tmp_path):
    """The videos have two frames on each side of the labelled one."""
    options = dict(split="test", clips=1, delta=3, input_size=(64, 48), flow_source="none", augmented=False)
    browse(prepared, tmp_path / "page.html", **options)
    found = pictures(tmp_path / "page.html")
    captions = [text.split(",")[0] for text, _ in found[:7]]
    expected = ["t-2 (there is no t-3)", "t-1 (there is no t-2)", "the key frame (there is no t-1)", "key frame"]
    assert captions == [*expected, "t+1", "t+2", "t+2 (there is no t+3)"]
    np.testing.assert_array_equal(found[5][1], found[6][1])


def test_pictures_that_are_white_have_an_edge(prepared, tmp_path):
    browse(prepared, tmp_path / "page.html", clips=1, delta=0, input_size=(64, 48), flow_source="none")
    style = re.search("<style>(.*?)</style>", (tmp_path / "page.html").read_text(), re.DOTALL)[1]
    assert "border:1px solid" in re.search("img{(.*?)}", style)[1]


def test_faults(prepared, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="--dataset=.* is empty"):
        browse(tmp_path, tmp_path / "page.html")
    run = tmp_path / "run" / "data"
    run.mkdir(parents=True)
    (run / "prepared").symlink_to(prepared)
    with pytest.raises(InputError, match=f"give --dataset={run / 'prepared'}"):
        browse(run.parent, tmp_path / "page.html")
    monkeypatch.setattr("data_pipeline.clips.flow.flow_of", lambda *_: None)
    with pytest.raises(InputError, match="--flow=dis"):
        browse(prepared, tmp_path / "page.html", delta=1, input_size=(64, 48), flow_source="exact")
    with pytest.raises(InputError, match="no prepared split 'dev'"):
        browse(prepared, tmp_path / "page.html", split="dev")
    assert not (tmp_path / "page.html").exists()


@pytest.fixture
def flags(monkeypatch, prepared, tmp_path):
    """The command's flags with small values; keywords change them."""

    class Flag:
        def __init__(self, name, value):
            self.name, self.value = name, value

    class Flags(dict):
        def __getattr__(self, name):
            return self[name].value

    def give(**changed):
        values = dict(dataset=str(prepared), output=str(tmp_path / "page.html"), split="test", clips=1, delta=0,
                      input_size=["64", "48"], augment=False, flow="none", flow_pairs="consecutive", sigma=3.0,
                      skeleton=None, seed=0, if_exists="refuse")  # fmt: skip
        given = Flags({name: Flag(name, value) for name, value in (values | changed).items()})
        monkeypatch.setattr("experiments.browse.FLAGS", given)

    return give


def test_an_earlier_page_is_replaced_only_where_that_is_asked_for(flags, tmp_path, capsys):
    flags()
    run()
    first = (tmp_path / "page.html").read_text()
    with pytest.raises(InputError, match="--if_exists"):
        run()
    flags(if_exists="number", split="val")
    run()
    assert str(tmp_path / "page-2.html") in capsys.readouterr().out
    assert (tmp_path / "page.html").read_text() == first != (tmp_path / "page-2.html").read_text()
    flags(if_exists="replace", split="val")
    run()
    assert (tmp_path / "page.html").read_text() == (tmp_path / "page-2.html").read_text()


def test_a_place_that_cannot_be_written_is_refused_before_any_clip_is_read(flags, prepared, tmp_path, monkeypatch):
    monkeypatch.setattr("experiments.browse.make_loader", lambda *_, **__: pytest.fail("read"))
    (tmp_path / "file").write_text("")
    features = prepared / "features.json"
    before = features.read_bytes()
    for place in (tmp_path, tmp_path / "file" / "page.html", "/proc/page.html", "", features):
        flags(output=str(place), if_exists="replace")
        with pytest.raises(InputError, match="--output"):
            run()
    assert features.read_bytes() == before
    for dataset, culprit in (("nowhere", "nowhere"), (features, "features.json")):
        flags(dataset=str(dataset))
        with pytest.raises(InputError, match=culprit):
            run()


def test_a_list_stands_in_the_help_as_the_flag_takes_it():
    command = [sys.executable, "-m", "experiments.cli", "browse", "--help"]
    text = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "JAX_PLATFORMS": "cpu"}).stdout
    line = text.splitlines()[text.splitlines().index("  --input_size") + 1]
    assert "(default: 384,288)" in line and "[" not in text.replace("[no]", "").replace("[flags]", "")
