"""From a folder in PoseTrack form to the prepared folder: what is stored, what is left out, and why."""

import json
import shutil

import numpy as np
import pytest

from data_pipeline.clips.table import ClipTable
from data_pipeline.formats.schema import decode_frame
from data_pipeline.formats.tfrecord import TFRecordSource
from data_pipeline.preparation.prepare import prepare
from data_pipeline.synthetic.flow import write_flo
from jmpose_jax.errors import InputError


def run(source, output, **options):
    return prepare("posetrack18", source, output, progress=False, **options)


def records(output, split="val"):
    return TFRecordSource(sorted(output.glob(f"posetrack-{split}.tfrecord-?????-of-?????")))


def test_what_is_stored(source, tmp_path):
    summary = run(source, tmp_path / "out", num_shards=4)
    counts = summary["splits"]["val"]
    assert counts["videos"] == 2 and counts["frames_listed"] == 12 and counts["frames_labeled"] == 3
    # Video 1 keeps frames 1 to 5; every frame of video 2 is within two of frame 0 or 4.
    assert counts["frames_stored"] == 10 and counts["frames_not_needed"] == 2
    assert counts["persons"] == counts["clips"] == 5 and counts["skipped"] == {}
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == summary
    source_records = records(tmp_path / "out")
    assert len(source_records) == 10
    frames = [decode_frame(source_records[i]) for i in range(10)]
    assert [f.number for f, _ in frames] == [1, 2, 3, 4, 5, 0, 1, 2, 3, 4]
    for frame, rest in frames:
        assert rest["image/encoded"] == (source / frame.file_name).read_bytes()
        assert rest["nframes"] == (7 if rest["video"].startswith("000001") else 5)
    table = ClipTable.load(tmp_path / "out", "val")
    assert table.clips["key_record"].tolist() == [2, 5, 5, 9, 9]
    assert table.clips["person_index"].tolist() == [0, 0, 1, 0, 1]
    keypoints = frames[5][0].persons[1].keypoints
    np.testing.assert_array_equal(table.clips["keypoints"][2], keypoints[:, :2])
    for name in ("000001_mpii_test.json", "000002_mpii_test.json"):
        copy = tmp_path / "out" / "annotations" / "val" / name
        assert copy.read_bytes() == (source / "annotations" / "val" / name).read_bytes()


def test_same_source_gives_the_same_bytes(source, tmp_path):
    for name in ("a", "b"):
        run(source, tmp_path / name)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert len(files) > 10
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


@pytest.mark.parametrize("num_shards", [1, 3, 64])
def test_any_number_of_shards_holds_the_same_records(source, tmp_path, num_shards):
    run(source, tmp_path / "one", num_shards=1)
    run(source, tmp_path / "many", num_shards=num_shards)
    one, many = records(tmp_path / "one"), records(tmp_path / "many")
    assert [one[i] for i in range(len(one))] == [many[i] for i in range(len(many))]


def test_official_files(shared, tmp_path):
    summary = run(shared / "data" / "posetrack18", tmp_path / "out")
    counts = summary["splits"]["val"]
    assert (counts["videos"], counts["frames_stored"], counts["persons"], counts["clips"]) == (3, 3, 14, 14)
    frame, rest = decode_frame(records(tmp_path / "out")[2])
    assert rest["video"] == "012834_mpii_test" and (rest["image/height"], rest["image/width"]) == (1080, 1920)
    assert len(frame.ignore_regions) == 4 and len(frame.persons) == 11
    table = ClipTable.load(tmp_path / "out", "val")
    boxes = table.clips["box"]
    assert np.all(boxes[:, :2] >= 0) and np.all(boxes[:, 0] + boxes[:, 2] <= 1920)
    assert np.all(boxes[:, 1] + boxes[:, 3] <= 1080)


def test_detections_are_kept_beside_the_annotations(shared, tmp_path):
    folder = shared / "data" / "posetrack18"
    boxes = folder / "annotations" / "test_posetrack18_human_detections.json"
    summary = run(folder, tmp_path / "out", boxes=boxes, box_threshold=0.5)
    kept = json.loads((tmp_path / "out" / "boxes-val.json").read_text())
    assert summary["splits"]["val"]["detections"] == len(kept) > 10
    assert min(entry["score"] for entry in kept) >= 0.5 and summary["boxes"] == str(boxes)


def test_people_that_cannot_be_cropped_are_counted(source, tmp_path, helpers):
    path = source / "annotations" / "val" / "000002_mpii_test.json"

    def change(content):
        people = content["annotations"]
        people[0]["bbox"] = [-30, -20, 60, 50]  # clipped
        people[1]["bbox"] = [500, 10, 20, 20]  # outside
        people[2]["bbox"] = [10, 10, 0, 20]  # empty
        people[3]["keypoints"] = [0] * 51

    helpers.edit(path, change)
    counts = run(source, tmp_path / "out")["splits"]["val"]
    assert counts["boxes_clipped"] == 1 and counts["clips"] == 2 and counts["persons"] == 5
    assert counts["skipped"] == {
        "person's box is empty or outside the image": 2,
        "person without annotated joints": 1,
    }
    examples = counts["skipped_examples"]["person without annotated joints"]
    assert examples == ["images/val/000002_mpii_test/000004.jpg person 1"]
    table = ClipTable.load(tmp_path / "out", "val")
    np.testing.assert_array_equal(table.clips["box"][1], [0, 0, 30, 30])


def test_damaged_images_are_left_out_and_counted(source, tmp_path):
    neighbour = source / "images" / "val" / "000001_mpii_test" / "000002.jpg"
    labelled = source / "images" / "val" / "000002_mpii_test" / "000004.jpg"
    for path in (neighbour, labelled):
        path.write_bytes(path.read_bytes()[:-200])
    counts = run(source, tmp_path / "out")["splits"]["val"]
    assert counts["skipped"] == {"frame truncated (no end marker)": 2}
    assert counts["people_in_unreadable_frames"] == 2 and counts["clips"] == 3 and counts["frames_stored"] == 8
    assert str(labelled) in counts["skipped_examples"]["frame truncated (no end marker)"]
    _, offsets = ClipTable.load(tmp_path / "out", "val").windows(2)
    assert offsets[0].tolist() == [-2, 0, 0, 1, 2]


def test_missing_frames(source, tmp_path):
    (source / "images" / "val" / "000001_mpii_test" / "000004.jpg").unlink()  # a neighbour
    (source / "images" / "val" / "000001_mpii_test" / "000000.jpg").unlink()  # needed by no clip
    counts = run(source, tmp_path / "out")["splits"]["val"]
    assert counts["skipped"] == {"frame missing on disk (no people annotated)": 1}
    (source / "images" / "val" / "000001_mpii_test" / "000003.jpg").unlink()
    with pytest.raises(InputError, match="000001_mpii_test.json: names images/val/000001_mpii_test/000003.jpg"):
        run(source, tmp_path / "out2")
    assert not (tmp_path / "out2").exists()


def test_merged_file_gets_one_annotation_file_a_video(shared, tmp_path):
    folder = shared / "data" / "posetrack18"
    (tmp_path / "source" / "annotations").mkdir(parents=True)
    (tmp_path / "source" / "images").symlink_to(folder / "images")
    shutil.copy(folder / "annotations" / "test_posetrack18_val.json", tmp_path / "source" / "annotations")
    run(tmp_path / "source", tmp_path / "out")
    run(folder, tmp_path / "expected")
    files = sorted((tmp_path / "out" / "annotations" / "val").iterdir())
    assert len(files) == 3
    for file in files:
        content = json.loads(file.read_text())
        expected = json.loads((tmp_path / "expected" / "annotations" / "val" / file.name).read_text())
        for key in ("image_id", "track_id", "id"):
            assert [a[key] for a in content["annotations"]] == [a[key] for a in expected["annotations"]]
        for a, b in zip(content["annotations"], expected["annotations"]):
            np.testing.assert_allclose(a["keypoints"], b["keypoints"], rtol=1e-6)
            np.testing.assert_allclose(a["bbox_head"], b["bbox_head"], rtol=1e-6)
        for key in ("ignore_regions_x", "ignore_regions_y", "file_name", "id", "is_labeled"):
            assert content["images"][0][key] == expected["images"][0][key]


def test_analysis_columns(source, tmp_path, helpers):
    def change(content):
        for image in content["images"]:
            image["speed_regime"] = "fast"
        for i, person in enumerate(content["annotations"]):
            person.update(joint_cause=["seen"] * 16 + ["hidden"], joint_speed=[0.5 * i] * 17, blurred=bool(i % 2))

    for path in (source / "annotations" / "val").glob("*.json"):
        helpers.edit(path, change)
    run(source, tmp_path / "out")
    clips = ClipTable.load(tmp_path / "out", "val").clips
    assert clips["joint_cause"].shape == (5, 17) and clips["joint_cause"][0, 16] == "hidden"
    assert clips["speed_regime"].tolist() == ["fast"] * 5 and clips["blurred"].tolist() == [
        False,
        False,
        True,
        False,
        True,
    ]
    np.testing.assert_array_equal(clips["joint_speed"][:, 3], [0, 0, 0.5, 1, 1.5])
    helpers.edit(path, lambda c: c["annotations"][0].update(joint_speed=[1, 2]))
    with pytest.raises(InputError, match="'joint_speed' is not of one shape"):
        run(source, tmp_path / "out")


def test_flow_files_are_packed(source, tmp_path):
    folder = source / "flow" / "val" / "000001_mpii_test"
    folder.mkdir(parents=True)
    flow = np.random.default_rng(0).normal(size=(16, 24, 2)).astype(np.float32)
    write_flo(folder / "000003_000005.flo", flow)
    run(source, tmp_path / "out")
    _, rest = decode_frame(records(tmp_path / "out")[2])
    assert rest["flow"].keys() == {2}
    np.testing.assert_allclose(rest["flow"][2], flow, atol=2e-3)
    assert "minus_2" in (tmp_path / "out" / "features.json").read_text()
    (folder / "000003_000005.flo").write_bytes(b"PIEH")
    with pytest.raises(InputError, match="000003_000005.flo: is no .flo file"):
        run(source, tmp_path / "out")


def test_the_embedded_data_set_is_rendered_where_there_is_no_source(tmp_path, monkeypatch):
    monkeypatch.setattr("data_pipeline.synthetic.dataset.DEFAULT_NUM_VIDEOS", {"val": 1})
    summary = prepare("synthetic", None, tmp_path / "out", progress=False)
    counts = summary["splits"]["val"]
    assert counts["videos"] == 1 and counts["clips"] >= 1
    clips = ClipTable.load(tmp_path / "out", "val").clips
    assert {"joint_cause", "joint_speed", "joint_motion", "blurred", "speed_regime"} <= set(clips)
    assert len(list((tmp_path / "out" / "source" / "images" / "val").glob("*/*.jpg"))) == counts["frames_listed"]


def test_an_earlier_prepared_folder_is_replaced_and_others_are_not(source, tmp_path):
    run(source, tmp_path / "out", num_shards=5)
    run(source, tmp_path / "out", num_shards=2)
    assert len(list((tmp_path / "out").glob("*-of-00002"))) == 2
    assert not list((tmp_path / "out").glob("*-of-00005"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("...")
    with pytest.raises(InputError, match="is not a prepared folder"):
        run(source, tmp_path / "mine")
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


def test_splits_can_be_chosen(source, tmp_path, helpers):
    helpers.write_video(source, split="train", name="000003_mpii_train")
    assert list(run(source, tmp_path / "all")["splits"]) == ["train", "val"]
    assert list(run(source, tmp_path / "val", splits=["val"])["splits"]) == ["val"]
    assert not (tmp_path / "val" / "clips-train.npz").exists()
    with pytest.raises(InputError, match="--split test: not in .*, which has train, val"):
        run(source, tmp_path / "out", splits=["val", "test"])


def test_nothing_to_train_on(tmp_path, helpers):
    helpers.write_video(tmp_path / "source", labeled=())
    with pytest.raises(InputError, match="no labelled frame with people"):
        run(tmp_path / "source", tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["source"]


def test_unknown_settings(source, tmp_path):
    with pytest.raises(InputError, match="dataset 'mpii' is not known"):
        prepare("mpii", source, tmp_path / "out")
    with pytest.raises(InputError, match="shards=0"):
        run(source, tmp_path / "out", num_shards=0)
    with pytest.raises(InputError, match="--source is needed for posetrack18"):
        run(None, tmp_path / "out")


def test_what_is_read_is_not_replaced(source, tmp_path):
    run(source, tmp_path / "out")
    shutil.move(source, tmp_path / "out" / "source")  # as the embedded data set lies in its prepared folder
    (tmp_path / "link").symlink_to(tmp_path / "out")
    for output in ("out", "link"):
        with pytest.raises(InputError, match="--output: .* would replace .*source, which is read"):
            run(tmp_path / "out" / "source", tmp_path / output)
    with pytest.raises(InputError, match="--output"):
        run(tmp_path / "out" / "source", tmp_path / "out" / "source")
    assert (tmp_path / "out" / "source" / "images").is_dir() and (tmp_path / "out" / "summary.json").is_file()


def test_a_link_to_an_earlier_folder_is_followed(source, tmp_path):
    run(source, tmp_path / "real", num_shards=1)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    run(source, tmp_path / "link", num_shards=2)
    assert (tmp_path / "link").is_symlink() and len(list((tmp_path / "real").glob("*-of-00002"))) == 2


def test_what_is_not_known_is_left_out_of_the_written_annotations(source, tmp_path, helpers):
    """Zeros in place of a head box would be scored with a threshold of 0."""
    path = source / "annotations" / "val" / "000002_mpii_test.json"

    def change(content):
        content["annotations"][0]["head_box"] = content["annotations"][0].pop("bbox_head")
        del content["annotations"][1]["bbox_head"], content["annotations"][1]["track_id"]

    helpers.edit(path, change)
    run(source, tmp_path / "out")
    first, second = json.loads((tmp_path / "out" / "annotations" / "val" / path.name).read_text())["annotations"][:2]
    assert first["bbox_head"] == [40, 8, 12, 10] and "head_box" not in first
    assert "bbox_head" not in second and "track_id" not in second


@pytest.mark.parametrize(
    ("line", "culprit"),
    [
        ("images/val/000001_mpii_test/000001.jpg,1,2,3,4,5000,4000,1", "5000×4000"),
        ("images/val/000009_mpii_test/000001.jpg,1,2,3,4,,,1", "b.csv.* none of its 1 "),
        ("images/val/000001_mpii_test/000001.jpg,1,2,3,4,,,0.1", "b.csv.* none of its 0 "),
    ],
)
def test_a_box_file_of_other_images_is_refused_and_nothing_is_left(source, tmp_path, line, culprit):
    file = tmp_path / "b.csv"
    file.write_text(f"image_name,x,y,w,h,image_width,image_height,score\n{line}\n")
    with pytest.raises(InputError, match=culprit):
        run(source, tmp_path / "out", boxes=file)
    assert sorted(p.name for p in tmp_path.iterdir() if p != source) == ["b.csv"]
