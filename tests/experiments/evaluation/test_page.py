"""The figures of an evaluation as a page."""

from experiments.evaluation.page import write_page


def test_page(tmp_path):
    rows = {"AP": {"Head": 12.345, "Total": None}, "MOTA": {"Head": -1.0, "Total": 50.0}}
    result = {"checkpoint": "runs/a<b", "step": 7, "boxes": "whatever"}
    write_page(tmp_path / "e.html", "percent, on x & y", rows, ["Head", "Total"], 2, ["no AP: <none>"], result)
    text = (tmp_path / "e.html").read_text()
    parts = ("percent, on x &amp; y", "<td>AP</td><td>12.35</td><td>–</td>", "<td>-1.00</td>", "no AP: &lt;none&gt;")
    for part in (*parts, "<td>checkpoint</td><td>runs/a&lt;b</td>", "<td>step</td><td>7</td>"):
        assert part in text
