"""What is noticed about JPEG files without decoding them."""

import cv2
import numpy as np
import pytest

from data_pipeline.clips import jpeg


@pytest.fixture
def picture(helpers):
    return helpers.picture(1)


@pytest.fixture
def data(picture):
    return cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


def inspected(tmp_path, data):
    path = tmp_path / "image.jpg"
    path.write_bytes(data)
    return jpeg.inspect(path)


def test_whole_file(tmp_path, data, picture):
    assert inspected(tmp_path, data) == (picture.shape[:2], "")
    decoded = jpeg.decode(data)
    assert decoded.shape == picture.shape
    assert np.abs(decoded.astype(int) - picture).mean() < 3  # and so red is red


@pytest.mark.parametrize("option", [cv2.IMWRITE_JPEG_PROGRESSIVE, cv2.IMWRITE_JPEG_OPTIMIZE])
def test_other_writers(tmp_path, picture, option):
    data = cv2.imencode(".jpg", picture, [option, 1])[1].tobytes()
    assert inspected(tmp_path, data) == (picture.shape[:2], "")


def test_long_metadata(tmp_path, data, picture):
    segment = b"\xff\xe1" + (65000).to_bytes(2, "big") + bytes(64998)
    assert inspected(tmp_path, data[:2] + 2 * segment + data[2:]) == (picture.shape[:2], "")


def test_bytes_after_the_end_are_harmless(tmp_path, data, picture):
    assert inspected(tmp_path, data + bytes(100)) == (picture.shape[:2], "")


@pytest.mark.parametrize("keep", [0.95, 0.5])
def test_truncated(tmp_path, data, keep):
    size, fault = inspected(tmp_path, data[: int(len(data) * keep)])
    assert size is None and fault == "truncated (no end marker)"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "empty file"),
        (b"\x89PNG....", "not a JPEG file"),
        (b"\xff\xd8\xff\xd9", "no image size in its header"),
        (b"\xff\xd8\xff\xd9" + bytes(50), "cannot be decoded"),
    ],
)
def test_other_faults(tmp_path, content, fault):
    assert inspected(tmp_path, content) == (None, fault)


def test_nothing_decodes_to_none():
    assert jpeg.decode(b"") is None and jpeg.decode(b"\xff\xd8nonsense") is None
