"""What `prepare --check` says about a source: every defect counted and explained, nothing written."""

import pytest

from data_pipeline.preparation.source_check import CONSEQUENCES, STOPS, check, consequence
from jmpose_jax.errors import InputError


def run(source, **options):
    return check("posetrack18", source, progress=False, **options)


def state(folder):
    return {path: path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))}


def test_sound_source(source):
    before = state(source)
    findings = run(source, max_delta=0)
    assert findings.defects == {} and findings.fatal == 0
    assert findings.counts["val"]["clips"] == 5 and "val: no defect found" in findings.describe()
    assert state(source) == before and [p.name for p in source.parent.iterdir()] == ["source"]


def test_every_defect_is_counted_and_explained(source, helpers, tmp_path):
    images = source / "images" / "val"
    annotations = source / "annotations" / "val"
    (images / "000001_mpii_test" / "000002.jpg").unlink()  # a neighbour
    (images / "000002_mpii_test" / "000001.jpg").write_bytes(b"\xff\xd8cut")

    def change(content):
        people = content["annotations"]
        people[0].update(bbox=[-5, 10, 40, 40])
        people[1].update(keypoints=[0] * 51)
        people[2].pop("bbox_head")
        people[3].update(track_id=0, keypoints=[500, 10, 1] + people[3]["keypoints"][3:])
        content["images"][0]["ignore_regions_x"] = [[1, 2]]
        content["images"][0]["ignore_regions_y"] = [[1, 2]]
        content["images"][0]["nframes"] = 9
        content["annotations"].append(helpers.person(10000020001))

    helpers.edit(annotations / "000002_mpii_test.json", change)
    helpers.write_video(source, name="000003_mpii_test")
    (images / "000003_mpii_test" / "000003.jpg").unlink()
    (annotations / "000004_mpii_test.json").write_text("{")
    (tmp_path / "boxes.json").write_text('[{"image_id": 1, "bbox": [1, 2, 30, 40], "score": 0.9}]')
    before = state(source)
    findings = run(source, boxes=tmp_path / "boxes.json")
    expected = {
        "annotation file that cannot be read": 1,
        "frame missing on disk (no people annotated)": 1,
        "frame truncated (no end marker)": 1,
        "frame with annotated people missing on disk": 1,
        "person without annotated joints": 1,
        "person's box leaves the image": 1,
        "person without a head box": 1,
        "joint outside the image": 1,
        "two people with one track_id in a frame": 1,
        "ignore region of fewer than three points": 1,
        "number of frames differs from nframes": 1,
        "clip with a missing neighbour": 4,
        "detection on no listed frame": 1,
    }
    assert dict(findings.defects["val"]) == expected and findings.fatal == 3
    assert findings.defects["boxes"] == {"box file without a box on a listed frame": 1}
    text = findings.describe()
    for name, number in expected.items():
        assert f"val: {number} × {name}: {consequence(name)}" in text
    assert "000004_mpii_test.json: not valid JSON" in text and "000003_mpii_test/000003.jpg" in text
    assert state(source) == before


def test_faults_of_boxes_and_between_files(source, tmp_path, helpers):
    (tmp_path / "boxes.json").write_text("{}")
    findings = run(source, boxes=tmp_path / "boxes.json")
    assert findings.defects["boxes"] == {"box file that cannot be read": 1} and findings.fatal == 1
    helpers.write_video(tmp_path / "other", labeled=())
    findings = run(tmp_path / "other")
    assert findings.fatal == 1 and "leave the split out with --split" in findings.describe()
    with pytest.raises(InputError, match="no such folder"):
        run(tmp_path / "absent")


def test_every_consequence_can_be_named():
    assert all(text == consequence(start) for start, text in CONSEQUENCES.items())
    assert sum(text.startswith(STOPS) for text in CONSEQUENCES.values()) == 6


def test_boxes_of_images_of_another_size_stop_the_preparation(source, tmp_path):
    name = "images/val/000001_mpii_test/000001.jpg"
    (tmp_path / "b.csv").write_text(f"image_name,x,y,w,h,image_width,image_height\n{name},1,2,3,4,5000,4000\n")
    findings = run(source, boxes=tmp_path / "b.csv")
    assert findings.defects["val"]["box file of other image sizes"] == 1 and findings.fatal == 1
    assert "5000×4000" in findings.describe()
