"""Tables between markers of the pages."""

import pytest

from benchmarks.measure import PAGES, machine, write_between_markers

NAMES = ("embedded", "information_study", "ablation", "loader", "networks", "deform_conv",
         "tracking", "tracking_motion", "vectorized_grid", "information", "information_start", "long_runs")  # fmt: skip


def test_the_text_takes_the_place_of_the_last_one(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("above\n<!-- x:begin -->\nold\n<!-- x:end -->\nbelow\n")
    for _ in range(2):
        write_between_markers("x", "| new |", path)
    assert path.read_text() == "above\n<!-- x:begin -->\n| new |\n<!-- x:end -->\nbelow\n"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", ["no markers", "<!-- x:begin -->", "<!-- x:begin --><!-- x:end -->" * 2])
def test_a_file_without_the_place_is_left_alone(tmp_path, content):
    path = tmp_path / "README.md"
    path.write_text(content)
    with pytest.raises(ValueError, match="README.md: needs one line"):
        write_between_markers("x", "", path)
    assert path.read_text() == content


def test_the_pages_have_a_place_for_every_table():
    text = "".join(page.read_text() for page in PAGES)
    for name in NAMES:
        assert text.count(f"<!-- {name}:begin -->") == text.count(f"<!-- {name}:end -->") == 1


def test_packages_that_are_not_there_have_no_version():
    found = machine("no-such-package")["versions"]
    assert found["jax"] and found["no-such-package"] is None
