"""Pictures that are drawn on."""

import numpy as np
from PIL import Image

from jmpose_jax.inference.sources.pictures import PictureWriter

IMAGE = np.full((20, 30, 3), 90, np.uint8)


def test_one_picture_is_a_file_and_several_a_folder(tmp_path):
    PictureWriter(tmp_path, single=True).write(IMAGE, "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["overlay.jpg"]
    writer = PictureWriter(tmp_path, single=False)
    for name in ("a.png", "a.jpg", "b.png"):
        writer.write(IMAGE, name)
    assert sorted(path.name for path in (tmp_path / "overlay").iterdir()) == ["a-2.jpg", "a.jpg", "b.jpg"]
    assert abs(np.asarray(Image.open(tmp_path / "overlay" / "b.jpg")).astype(int) - 90).max() <= 2
