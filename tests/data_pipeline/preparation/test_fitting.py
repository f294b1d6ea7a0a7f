"""Annotations of another size than their image, and images that an EXIF tag turns: refused, scaled or turned."""

import json

import cv2
import numpy as np
import pytest

from data_pipeline.clips import jpeg
from data_pipeline.clips.table import ClipTable
from data_pipeline.formats.schema import decode_frame
from data_pipeline.formats.tfrecord import TFRecordSource
from data_pipeline.preparation.fitting import AS_STORED, OTHER_SIZE, SCALED, TURNED, UNSETTLED
from data_pipeline.preparation.prepare import prepare
from data_pipeline.preparation.source_check import check
from jmpose_jax.errors import InputError
from jmpose_jax.skeletons import COCO17


def with_orientation(path, orientation, order="little"):
    """Write an EXIF orientation into a JPEG file."""
    mark = {"little": b"II*\0", "big": b"MM\0*"}[order]

    def number(value, size):
        return value.to_bytes(size, order)

    entry = number(0x0112, 2) + number(3, 2) + number(1, 4) + number(orientation, 2) + b"\0\0"
    exif = b"Exif\0\0" + mark + number(8, 4) + number(1, 2) + entry + number(0, 4)
    data = path.read_bytes()
    path.write_bytes(data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:])


@pytest.fixture
def folder(tmp_path, helpers):
    """One video whose annotations state the size of its frames; returns source and annotation file."""
    path = helpers.write_video(tmp_path / "source", frames=3, labeled=(1,))
    state(path, helpers, helpers.width, helpers.height)
    return tmp_path / "source", path


def state(path, helpers, width, height):
    helpers.edit(path, lambda c: [image.update(width=width, height=height) for image in c["images"]])


def stored(output):
    records = TFRecordSource(sorted(output.glob("posetrack-val.tfrecord-?????-of-?????")))
    return [decode_frame(records[i]) for i in range(len(records))]


def double(content):
    """The annotations in pixels of an image of twice the size."""
    for image in content["images"]:
        image.update(width=2 * 96, height=2 * 64)
        for key in ("ignore_regions_x", "ignore_regions_y"):
            image[key] = [[2 * value for value in polygon] for polygon in image[key]]
    for person in content["annotations"]:
        keypoints = np.reshape(person["keypoints"], (17, 3)) * [2, 2, 1]
        person["keypoints"] = keypoints.ravel().tolist()
        for key in ("bbox", "bbox_head"):
            person[key] = [2 * value for value in person[key]]


def test_another_size_is_refused_and_foretold(folder, helpers, tmp_path):
    source, path = folder
    helpers.edit(path, double)
    findings = check("posetrack18", source, progress=False)
    assert findings.defects["val"][OTHER_SIZE] == 3 and findings.fatal == 3
    assert "annotated 192 × 128, the file has 96 × 64" in findings.describe()
    with pytest.raises(InputError, match="annotated 192 × 128, the file has 96 × 64.*--size_mismatch=scale") as caught:
        prepare("posetrack18", source, tmp_path / "out", progress=False)
    assert str(path) in str(caught.value) and not (tmp_path / "out").exists()


def test_scaled_annotations_are_those_of_the_image(folder, helpers, tmp_path):
    source, path = folder
    prepare("posetrack18", source, tmp_path / "expected", progress=False)
    helpers.edit(path, double)
    summary = prepare("posetrack18", source, tmp_path / "out", progress=False, size_mismatch="scale")
    assert summary["splits"]["val"]["noted"] == {SCALED: 3}
    expected, table = (ClipTable.load(tmp_path / name, "val").clips for name in ("expected", "out"))
    for name in ("keypoints", "box", "head_box", "annotated"):
        np.testing.assert_array_equal(table[name], expected[name])
    for (frame, _), (other, _) in zip(stored(tmp_path / "out"), stored(tmp_path / "expected"), strict=True):
        np.testing.assert_array_equal(frame.ignore_regions[0], other.ignore_regions[0])
    written = json.loads((tmp_path / "out" / "annotations" / "val" / path.name).read_text())
    before = json.loads((tmp_path / "expected" / "annotations" / "val" / path.name).read_text())
    assert written["annotations"][0]["keypoints"] == before["annotations"][0]["keypoints"]
    assert (written["images"][1]["width"], written["images"][1]["height"]) == (96, 64)


def test_ignored_sizes_leave_the_annotations(folder, helpers, tmp_path):
    source, path = folder
    prepare("posetrack18", source, tmp_path / "expected", progress=False)
    state(path, helpers, 192, 128)
    prepare("posetrack18", source, tmp_path / "out", progress=False, size_mismatch="ignore")
    expected, table = (ClipTable.load(tmp_path / name, "val").clips for name in ("expected", "out"))
    np.testing.assert_array_equal(table["keypoints"], expected["keypoints"])


@pytest.mark.parametrize(("width", "height"), [(192, 64), (48, 32)])
def test_what_cannot_be_of_the_stated_size_is_not_scaled(folder, helpers, tmp_path, width, height):
    source, path = folder
    state(path, helpers, width, height)  # another shape; joints beyond it
    with pytest.raises(InputError, match="96 × 64") as caught:
        prepare("posetrack18", source, tmp_path / "out", progress=False, size_mismatch="scale")
    assert ("joints reach to 62 × 47" in str(caught.value)) == (width == 48)


def test_coco(tmp_path, helpers):
    """Sizes and joint order of COCO; the written annotations are of the stored pixels and of COCO's order."""
    root = tmp_path / "coco"
    (root / "annotations").mkdir(parents=True)
    (root / "val2017").mkdir()
    cv2.imwrite(str(root / "val2017" / "1.jpg"), helpers.picture(0))
    names = COCO17.joints[::-1]
    keypoints = [[10 + 8 * i, 20 + 4 * i, 2] for i in range(17)]
    person = {"id": 4, "image_id": 1, "category_id": 1, "area": 400.0, "bbox": [10, 20, 128, 64], "iscrowd": 0}
    crowd = {"image_id": 1, "category_id": 1, "iscrowd": 1, "bbox": [2, 4, 6, 8], "keypoints": [0] * 51}
    content = {
        "images": [{"id": 1, "file_name": "1.jpg", "width": 192, "height": 128}],
        "annotations": [person | {"keypoints": sum(keypoints[::-1], [])}, crowd],
        "categories": [{"id": 1, "name": "person", "keypoints": list(names)}],
    }
    path = root / "annotations" / "person_keypoints_val2017.json"
    path.write_text(json.dumps(content))
    findings = check("coco", root, progress=False)
    assert "annotated 192 × 128, the file has 96 × 64" in findings.describe() and findings.fatal == 1
    prepare("coco", root, tmp_path / "out", progress=False, size_mismatch="scale")
    clips = ClipTable.load(tmp_path / "out", "val").clips
    np.testing.assert_array_equal(clips["keypoints"][0], np.array(keypoints)[:, :2] / 2)
    written = json.loads((tmp_path / "out" / "annotations" / "val" / path.name).read_text())
    first, second = written["annotations"]
    assert written["categories"][0]["keypoints"] == list(COCO17.joints)
    assert first["keypoints"][:3] == [5, 10, 2] and first["area"] == 100 and first["bbox"] == [5, 10, 64, 32]
    assert second["bbox"] == [1, 2, 3, 4] and second["iscrowd"] == 1 and second["id"] != first["id"] == 4


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations_are_read_and_applied_as_by_opencv(tmp_path, helpers, orientation, order):
    path = tmp_path / "image.jpg"
    cv2.imwrite(str(path), helpers.picture(3), [cv2.IMWRITE_JPEG_QUALITY, 97])
    assert jpeg.orientation_of(path.read_bytes()) == 1
    with_orientation(path, orientation, order)
    data = path.read_bytes()
    assert jpeg.orientation_of(data) == orientation
    assert jpeg.inspect(path) == ((helpers.height, helpers.width), "") and jpeg.decode(data).shape[:2] == (64, 96)
    upright = cv2.imread(str(path))[..., ::-1]  # OpenCV turns by default
    turned = jpeg.decode(jpeg.turned(data, orientation))
    assert turned.shape[:2] == jpeg.turned_size((64, 96), orientation) == upright.shape[:2]
    assert np.abs(turned.astype(int) - upright).mean() < 2


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8\xff\xe1\0\x08Exif\0\0", b"\xff\xd8\xff\xe1\0\x10Exif\0\0II*\0\xff\xff"]
)
def test_damaged_tags_are_no_orientation(data):
    assert jpeg.orientation_of(data) == 1


def turn_all(source, orientation):
    for path in sorted((source / "images").rglob("*.jpg")):
        with_orientation(path, orientation)


def test_annotations_of_the_upright_picture_get_the_upright_picture(folder, helpers, tmp_path):
    """The size says which pixels are meant: those that the tag turns."""
    source, path = folder
    turn_all(source, 6)
    state(path, helpers, helpers.height, helpers.width)
    summary = prepare("posetrack18", source, tmp_path / "out", progress=False)
    assert summary["splits"]["val"]["noted"] == {TURNED: 3}
    findings = check("posetrack18", source, progress=False)
    assert findings.fatal == 0 and findings.defects["val"][TURNED] == 3
    assert "annotated 64 × 96, the file has 96 × 64, turned by its EXIF orientation 6 64 × 96" in findings.describe()
    for frame, rest in stored(tmp_path / "out"):
        assert (rest["image/height"], rest["image/width"]) == (96, 64)
        upright = cv2.imread(str(source / frame.file_name))[..., ::-1]
        assert np.abs(jpeg.decode(rest["image/encoded"]).astype(int) - upright).mean() < 3
    assert ClipTable.load(tmp_path / "out", "val").frames["frame_size"].tolist() == [[96, 64]] * 3


def test_annotations_of_the_stored_picture_keep_its_bytes(folder, tmp_path):
    source, _ = folder
    turn_all(source, 6)
    summary = prepare("posetrack18", source, tmp_path / "out", progress=False)
    assert summary["splits"]["val"]["noted"] == {AS_STORED: 3}
    for frame, rest in stored(tmp_path / "out"):
        assert rest["image/encoded"] == (source / frame.file_name).read_bytes()


@pytest.mark.parametrize("orientation", [3, 6])
def test_what_the_size_does_not_settle_is_refused(folder, helpers, tmp_path, orientation):
    source, path = folder
    turn_all(source, orientation)
    if orientation == 6:
        helpers.edit(path, lambda c: [(image.pop("width"), image.pop("height")) for image in c["images"]])
    assert check("posetrack18", source, progress=False).defects["val"][UNSETTLED] == 3
    with pytest.raises(InputError, match="--orientation=stored"):
        prepare("posetrack18", source, tmp_path / "out", progress=False)
    for choice, noted in (("stored", AS_STORED), ("upright", TURNED)):
        summary = prepare("posetrack18", source, tmp_path / choice, progress=False, orientation=choice)
        assert summary["splits"]["val"]["noted"] == {noted: 3}
    turned = [jpeg.decode(rest["image/encoded"]) for _, rest in stored(tmp_path / "upright")]
    assert turned[0].shape[:2] == jpeg.turned_size((64, 96), orientation)


def test_unknown_policies(folder, tmp_path):
    for option in ({"size_mismatch": "guess"}, {"orientation": "guess"}):
        with pytest.raises(InputError, match=f"--{next(iter(option))}=guess"):
            prepare("posetrack18", folder[0], tmp_path / "out", progress=False, **option)
