"""Pages in one look: Markdown reports with their pictures within."""

import cv2
import numpy as np
import pytest

from jmpose_jax.pages import markdown_page, page

REPORT = """# A report & more

Some **bold** words, <script>alert(1)</script>.

| | Head | Total |
|---|---|---|
| JM-Pose | 1.5 | **2.5** |

![curves](curve.png) and ![lost](none.png)

People: [a video](video/overlay.mp4), [none](none.mp4).

```sh
jmpose evaluate --workdir a&b
```
"""


@pytest.fixture
def report(tmp_path):
    cv2.imwrite(str(tmp_path / "curve.png"), np.full((30, 40, 3), 90, np.uint8))
    (tmp_path / "video").mkdir()
    (tmp_path / "video" / "overlay.mp4").write_bytes(b"video")
    return markdown_page(REPORT, tmp_path)


def test_markdown(report):
    assert "<title>A report &amp; more</title>" in report and "<strong>bold</strong>" in report
    assert "<td>JM-Pose</td>" in report and "<strong>2.5</strong>" in report
    assert "<script>alert" not in report
    assert 'src="data:image/png;base64,' in report and 'src="none.png"' in report
    assert report.count("<video") == 1 and 'src="video/overlay.mp4"' in report
    assert "jmpose evaluate --workdir a&amp;b" in report


def test_in_a_browser(report, tmp_path, browser_page):
    (tmp_path / "r.html").write_text(report.replace('src="none.png"', ""))
    shown = browser_page(tmp_path / "r.html")
    assert shown.locator("img").first.evaluate("image => image.naturalWidth") == 40
    assert shown.locator("td").count() == 3 and shown.title() == "A report & more"


def test_scripts_from_elsewhere_are_refused(tmp_path, browser_page):
    (tmp_path / "r.html").write_text(page("t", "<p>words</p>", script="document.body.dataset.ran = 1"))
    shown = browser_page(tmp_path / "r.html")
    assert shown.evaluate("document.body.dataset.ran") == "1"
    assert shown.evaluate("fetch('file:///etc/hostname').then(() => 'fetched', () => 'refused')") == "refused"
    assert browser_page.faults and all("Content Security Policy" in fault for fault in browser_page.faults)
    browser_page.faults.clear()
