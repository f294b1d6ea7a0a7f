"""The page of a video: what it holds and, in a real browser, what its clicks do."""

import base64
import dataclasses
import json
import re

import numpy as np
import pytest

from jmpose_jax.inference.outputs import video_page
from jmpose_jax.inference.outputs.video_page import write_page
from jmpose_jax.inference.video.writer import VideoWriter
from tests.browser import until

SIZE = (160, 120)
TIMES = [0.0, 0.1, 0.2, 0.5, 0.6]
GREY = """() => {
  const canvas = document.createElement("canvas"), pen = canvas.getContext("2d");
  pen.drawImage(video, 0, 0, 9, 9);
  return pen.getImageData(4, 4, 1, 1).data[0];
}"""  # of the frame that the video shows


@pytest.fixture
def walk(people):
    """Person 7 in five frames, person 0 in the last two."""
    rng = np.random.default_rng(0)
    return dataclasses.replace(
        people,
        images=tuple({"id": i, "file_name": str(i)} for i in range(5)),
        image_id=np.array([0, 1, 2, 3, 3, 4, 4]),
        track_id=np.array([7, 7, 7, 7, 0, 7, 0]),
        keypoints=rng.uniform(10, 110, (7, 17, 2)).astype(np.float32),
        scores=np.tile(np.linspace(0, 1, 17, dtype=np.float32), (7, 1)),
        boxes=np.tile(np.float32([10, 10, 60, 100]), (7, 1)),
        box_scores=np.ones(7, np.float32),
        times=np.array(TIMES),
    )


@pytest.fixture
def overlay(tmp_path):
    with VideoWriter(tmp_path / "overlay.mp4", 10, SIZE) as writer:
        for i, time in enumerate(TIMES):
            writer.write(np.full((SIZE[1], SIZE[0], 3), 50 * i, np.uint8), time)
    return tmp_path / "overlay.mp4"


def data(path):
    return json.loads(re.search(r'id="data">(.*?)</script>', path.read_text(), re.DOTALL)[1])


def test_data(walk, tmp_path):
    write_page(walk, tmp_path / "r.html", None, size=SIZE, threshold=0.3)
    found = data(tmp_path / "r.html")
    assert [track["id"] for track in found["tracks"]] == [7, 0] and found["overlay"] is None
    unpack = lambda text, kind: np.frombuffer(base64.b64decode(text), kind)  # noqa: E731
    assert unpack(found["times"], "<f8").tolist() == TIMES
    second = found["tracks"][1]
    assert unpack(second["frames"], "<u4").tolist() == [3, 4]
    np.testing.assert_allclose(unpack(second["scores"], "u1").reshape(2, 17) / 255, walk.scores[[4, 6]], atol=0.003)
    np.testing.assert_array_equal(unpack(second["points"], "<i2").reshape(2, 17, 2), walk.keypoints[[4, 6]].round())
    assert second["acceleration"] is None and found["tracks"][0]["acceleration"] > 0


def test_a_small_overlay_is_within_the_page_and_a_large_one_beside_it(walk, overlay, tmp_path, monkeypatch):
    write_page(walk, tmp_path / "r.html", overlay, size=SIZE, threshold=0.3)
    assert base64.b64decode(data(tmp_path / "r.html")["overlay"].split(",")[1]) == overlay.read_bytes()
    monkeypatch.setattr(video_page, "EMBEDDED_BYTES", 10)
    write_page(walk, tmp_path / "r.html", overlay, size=SIZE, threshold=0.3)
    assert data(tmp_path / "r.html")["overlay"] == "overlay.mp4"


def test_a_name_cannot_break_the_page(walk, tmp_path):
    name = "</script><script>alert(1)</script>"
    write_page(dataclasses.replace(walk, video=name), tmp_path / "r.html", None, size=SIZE, threshold=0.3)
    assert "<script>alert" not in (tmp_path / "r.html").read_text() and data(tmp_path / "r.html")["title"] == name


@pytest.mark.parametrize("limit", [10, 10**7])
def test_clicks_in_a_browser(walk, overlay, tmp_path, monkeypatch, browser_page, limit):
    monkeypatch.setattr(video_page, "EMBEDDED_BYTES", limit)
    write_page(walk, tmp_path / "r.html", overlay, size=SIZE, threshold=0.3)
    page = browser_page(tmp_path / "r.html")

    def shown(frame):
        """Waits until the page and its video are at a frame."""
        until(page, f"document.body.dataset.frame === '{frame}'")
        high = TIMES[frame + 1] if frame + 1 < len(TIMES) else TIMES[frame] + 0.11
        until(page, f"!video.seeking && video.currentTime >= {TIMES[frame]} && video.currentTime < {high}")
        if limit > 10:  # a video of another file may not be read by scripts
            assert abs(page.evaluate(GREY) - 50 * frame) < 12

    until(page, "video.readyState >= 2")
    for place, row, frame, track in ((0.5, 8, 2, "7"), (0.9, 24, 4, "0"), (0.7, 24, 3, "0")):
        box = page.locator("#track-plot canvas").bounding_box()
        page.mouse.click(box["x"] + place * box["width"], box["y"] + row)
        shown(frame)
        assert page.locator("#chosen").input_value() == track
    page.locator("#back").click()
    shown(2)
    page.locator("#frame").fill("1")
    page.locator("#frame").press("Enter")
    shown(1)
    page.locator("#people tr[data-track='0']").click()
    shown(3)
    page.locator("#joint-plot").click(position={"x": 5, "y": 5})
    shown(0)
    page.evaluate("video.play()")
    until(page, "video.ended && document.body.dataset.frame === '4'")


def test_without_overlay_and_without_anybody_in_a_browser(walk, nobody, tmp_path, browser_page):
    write_page(walk, tmp_path / "r.html", None, size=SIZE, threshold=0.3)
    page = browser_page(tmp_path / "r.html")
    drawn = "document.querySelector('#stage canvas').getContext('2d').getImageData(0, 0, 160, 120).data.some((v) => v)"
    assert page.evaluate(drawn)
    write_page(nobody, tmp_path / "n.html", None, size=SIZE, threshold=0.3)
    page = browser_page(tmp_path / "n.html")
    assert page.locator("#nobody").is_visible() and not page.locator("#results").is_visible()
    page.locator("#on").click()
    assert page.evaluate("document.body.dataset.frame") == "1"
