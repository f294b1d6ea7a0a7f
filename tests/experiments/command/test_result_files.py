"""What of an earlier run goes once another has replaced it; the flags themselves are tested with `predict`."""

from types import SimpleNamespace

from experiments.command.result_files import RESULT_FILES, ResultFiles
from jmpose_jax.inference.results import Results
from jmpose_jax.inference.sources.pictures import OVERLAY_FOLDER


def test_earlier_results_of_other_forms_go_and_nothing_else(tmp_path):
    def of(pictures, frames=5):
        return SimpleNamespace(pictures=pictures, expected_frames=frames)

    names = ("poses.json", "poses.csv", "report.html")
    for source, overlay, left in (
        (of(False), False, set(names)),
        (of(False), True, {*names, "overlay.mp4"}),
        (of(True), True, {"poses.json", "poses.csv", "overlay"}),
        (of(True, 1), True, {"poses.json", "poses.csv", "overlay.jpg"}),
    ):
        for name in (*RESULT_FILES, "notes.txt"):
            if name == OVERLAY_FOLDER:
                (tmp_path / name / "deeper").mkdir(parents=True, exist_ok=True)
            else:
                (tmp_path / name).write_text("")
        ResultFiles(Results(overlay=overlay), names, "").remove_earlier(tmp_path, source)
        assert {path.name for path in tmp_path.iterdir()} == {*left, "notes.txt"}
    ResultFiles(Results(), names, "").remove_earlier(tmp_path / "none", of(False))  # nothing there, nothing to do
