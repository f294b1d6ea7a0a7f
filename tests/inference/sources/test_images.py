"""Pictures as sources: order, orientation, damage, and whether they follow each other."""

import pathlib

import numpy as np
import PIL
import pytest
from PIL import Image

from jmpose_jax.errors import InputError
from jmpose_jax.inference.sources.images import Images, natural_order


def save(path, size=(32, 24), level=0, **options):
    image = Image.fromarray(np.full((size[1], size[0], 3), level, np.uint8))
    image.save(path, **options)
    return path


def test_the_order_is_that_of_the_numbers_in_the_names(tmp_path):
    files = [save(tmp_path / f"f{n}.png", level=n) for n in (10, 9, 8, 100)]
    source = Images.of_folder(tmp_path)
    assert [frame.name for frame in source.frames()] == ["f8.png", "f9.png", "f10.png", "f100.png"]
    assert [int(frame.image[0, 0, 0]) for frame in source.frames()] == [8, 9, 10, 100]
    assert source.name == tmp_path.name
    assert source.place == tmp_path.with_name(f"{tmp_path.name}_poses")
    assert natural_order(reversed(files)) == natural_order(files)


@pytest.mark.parametrize(
    ("names", "sizes", "related"),
    [
        (("a1", "a2"), ((32, 24), (32, 24)), True),
        (("a1", "a2"), ((32, 24), (24, 32)), False),
        (("a1", "b2"), ((32, 24), (32, 24)), False),
        (("a", "b"), ((32, 24), (32, 24)), False),
        (("a1",), ((32, 24),), False),
        (("f0008", "f0009", "f0010", "f0012"), ((32, 24),) * 4, True),  # one is missing
        (("f0", "f15", "f30", "f60"), ((32, 24),) * 4, True),  # every 15th frame
        (("000139", "000285", "000632", "000724"), ((32, 24),) * 4, False),  # COCO's numbers
    ],
)
def test_pictures_follow_each_other_by_name_and_size(tmp_path, names, sizes, related):
    for name, size in zip(names, sizes):
        save(tmp_path / f"{name}.png", size)
    assert Images.of_folder(tmp_path).related == related
    for said in (False, True):
        assert Images.of_folder(tmp_path, related=said).related == (said and len(names) > 1)


def test_each_has_its_own_size_and_stands_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    save(tmp_path / "a.png", (32, 24))
    pixels = np.zeros((24, 32, 3), np.uint8)
    pixels[:, :16] = 255  # bright at the left, which is the top once it is turned
    Image.fromarray(pixels).save(tmp_path / "b.jpg", exif=exif, quality=95)
    plain, turned = (frame.image for frame in Images.of_folder(tmp_path).frames())
    assert plain.shape == (24, 32, 3) and turned.shape == (32, 24, 3)
    assert turned[:12].mean() > 240 and turned[20:].mean() < 15


def test_a_broken_one_is_lost_and_named_and_none_at_all_is_refused(tmp_path):
    save(tmp_path / "f1.jpg", level=50)
    (tmp_path / "f2.jpg").write_bytes((tmp_path / "f1.jpg").read_bytes()[:200])
    (tmp_path / "f3.jpg").write_bytes(b"")
    source = Images.of_folder(tmp_path)
    frames = list(source.frames())
    assert [frame.lost for frame in frames] == [False, True, True]
    assert "f2.jpg" in source.remark and "f3.jpg (it is empty)" in source.remark
    (tmp_path / "f1.jpg").write_text("no picture")
    with pytest.raises(InputError, match=r"f1.jpg.*any of the other 2"):
        Images.of_folder(tmp_path)


def test_videos_beside_the_pictures_are_named(tmp_path):
    save(tmp_path / "a.png")
    (tmp_path / "v.MP4").write_bytes(b"")
    (tmp_path / "notes.txt").write_bytes(b"")
    source = Images.of_folder(tmp_path)
    assert len(list(source.frames())) == 1 and "v.MP4" in source.remark and "notes" not in source.remark


def test_a_folder_without_pictures_says_what_it_holds(tmp_path):
    with pytest.raises(InputError, match="empty"):
        Images.of_folder(tmp_path)
    (tmp_path / "clip.mp4").write_text("")
    with pytest.raises(InputError, match="no pictures.*mp4"):
        Images.of_folder(tmp_path)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "I;16"])
def test_pictures_of_every_kind_become_rgb(tmp_path, mode):
    path = tmp_path / "p.png"
    if mode == "I;16":
        Image.fromarray(np.full((24, 32), 200 * 256, np.uint16)).save(path)
    else:
        Image.fromarray(np.full((24, 32, 3), 200, np.uint8)).convert(mode).save(path)
    (frame,) = Images.of_files([path]).frames()
    assert frame.image.shape == (24, 32, 3) and frame.image.dtype == np.uint8
    assert abs(float(frame.image.mean()) - 200) < (90 if mode == "1" else 2)


@pytest.mark.parametrize(("dtype", "top"), [(np.float32, 1.0), (np.float32, 255), (np.int32, 255), (np.uint16, 65535)])
def test_grey_levels_of_more_bits_fill_the_range(tmp_path, dtype, top):
    Image.fromarray(np.array([[0, top / 2, top]] * 4).astype(dtype)).save(tmp_path / "g.tif")
    (frame,) = Images.of_files([tmp_path / "g.tif"]).frames()
    np.testing.assert_allclose(frame.image[0, :, 0], [0, 127.5, 255], atol=1)


@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_turned_grey_pictures_stand_upright(tmp_path, ending, dtype):
    pixels = np.zeros((24, 32), dtype)
    pixels[:, :16] = np.iinfo(dtype).max  # bright at the left
    for tag, bright in ((6, np.s_[:16]), (8, np.s_[16:]), (3, np.s_[:, 16:])):
        exif = Image.Exif()
        exif[0x0112] = tag
        Image.fromarray(pixels).save(tmp_path / f"a.{ending}", exif=exif)
        source = Images.of_files([tmp_path / f"a.{ending}"])
        expected = np.zeros((32, 24, 3) if tag > 4 else (24, 32, 3), np.uint8)
        expected[bright] = 255
        assert source.size == expected.shape[1::-1]
        np.testing.assert_array_equal(next(source.frames()).image, expected)


def test_what_is_transparent_is_read_on_white_and_counted(tmp_path):
    pixels = np.full((24, 32, 4), 40, np.uint8)
    pixels[:, :16, 3], pixels[:, 16:, 3] = 0, 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    pixels[..., 3] = 255
    Image.fromarray(pixels).save(tmp_path / "b.png")
    source = Images.of_folder(tmp_path)
    first, second = (frame.image for frame in source.frames())
    assert (first[:, :16] == 255).all() and (first[:, 16:] == 40).all() and (second == 40).all()
    assert source.remark == "; transparent, and read on white: 1"


def test_a_damaged_tiff_has_one_line_and_it_is_ours(tmp_path, capfd):
    path = tmp_path / "a.tif"
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path, compression="tiff_adobe_deflate")
    raw = bytearray(path.read_bytes())
    raw[200:600] = bytes(400)
    path.write_bytes(raw)
    with pytest.raises(InputError, match=r"a.tif: \w.*; give a picture"):
        Images.of_files([path])
    if list(pathlib.Path(PIL.__file__).parent.with_name("pillow.libs").glob("libtiff*.so*")):  # Linux's wheels
        assert capfd.readouterr().err == ""


def test_the_folder_above_has_results_beside_it(tmp_path, monkeypatch):
    (tmp_path / "shots" / "deep").mkdir(parents=True)
    save(tmp_path / "shots" / "a.png")
    monkeypatch.chdir(tmp_path / "shots" / "deep")
    assert Images.of_folder(pathlib.Path("..")).place == tmp_path / "shots_poses"
    files = [pathlib.Path("../a.png"), save(pathlib.Path("../b.png"))]
    assert Images.of_files(files).place == tmp_path / "shots" / "shots_poses"
