"""The page of what training sees: every picture is in it, and faults are one line."""

import base64
import re

import cv2
import numpy as np
import pytest

from data_pipeline.loader import make_loader
from experiments.browse import browse
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
    batch = next(make_loader(prepared, "test", delta=1, input_size=(64, 48), batch_size=3))
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


def test_faults(prepared, tmp_path):
    with pytest.raises(InputError, match="is no output of `jmpose prepare`"):
        browse(tmp_path, tmp_path / "page.html")
    with pytest.raises(InputError, match="no prepared split 'dev'"):
        browse(prepared, tmp_path / "page.html", split="dev")
    assert not (tmp_path / "page.html").exists()
