"""Results name every frame: as the box file does, and in the same way where it says nothing."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jmpose_jax.boxes.images import frame_images
from jmpose_jax.inference.box_files import boxes_from_file


def entry(frame, first=0, pattern="v/{:06d}.jpg", identity=10000):
    return {"id": identity + frame + first, "file_name": pattern.format(frame + first)}


def test_without_a_list_frames_count_from_0():
    assert frame_images({}, [0, 4], "clip") == (
        {"id": 0, "file_name": "clip/000000.jpg"},
        {"id": 4, "file_name": "clip/000004.jpg"},
    )


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("pattern", ["v/{:06d}.jpg", "frame_{:04d}.png", "val/012834_mpii_test/{:06d}.jpg"])
def test_the_pattern_of_the_file_goes_on(first, pattern):
    known = {frame: entry(frame, first, pattern) for frame in (0, 4, 8)}
    assert frame_images(known, range(12), "clip") == tuple(entry(frame, first, pattern) for frame in range(12))


@given(
    st.dictionaries(
        st.integers(0, 20),
        st.tuples(st.integers(0, 60), st.sampled_from(["clip/{:06d}.jpg", "{}.jpg", "no number", "f{}_x.png"])),
    )
)
def test_ids_and_names_are_unique_and_what_is_known_is_kept(drawn):
    known, ids = {}, set()
    for frame, (identity, pattern) in drawn.items():
        if identity not in ids:
            known[frame] = {"id": identity, "file_name": pattern.format(frame)}
            ids.add(identity)
    listed = frame_images(known, range(21), "clip")
    assert all(listed[frame] == entry for frame, entry in known.items())
    assert len({image["id"] for image in listed}) == len(listed)
    made_up = [image["file_name"] for frame, image in enumerate(listed) if frame not in known]
    assert not set(made_up) & {entry["file_name"] for entry in known.values()}
    assert len(set(made_up)) == len(made_up) and all(image["id"] >= 0 for image in listed)


@pytest.mark.parametrize("frames", [[0, 4, 8], [8, 4, 0], [0, 11]])
@pytest.mark.parametrize("first", [0, 1])
def test_the_result_read_as_a_box_file_means_the_same_frames(tmp_path, frames, first):
    def write(images):
        ids = {image["id"]: frame for frame, image in images.items()}
        boxes = [{"image_id": i, "bbox": [frame + 1, 2, 3, 4], "track_id": 0} for i, frame in ids.items()]
        path = tmp_path / "boxes.json"
        path.write_text(json.dumps({"images": list(images.values()), "annotations": boxes}))
        return boxes_from_file(path, frames=12)

    file = write({frame: entry(frame, first, "frame_{:04d}.jpg", 500) for frame in frames})
    assert set(file.images) == set(frames)
    again = write(dict(enumerate(frame_images(file.images, range(12), "clip"))))
    assert again.detector.frames == tuple(range(12))
    for frame in range(12):
        found = again.detector(frame, np.zeros((50, 50, 3), np.uint8))
        assert found.boxes[0, 0] == frame + 1
