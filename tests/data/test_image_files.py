"""Every image arrives as 8-bit RGB in the orientation in which it is shown, or is refused."""

import numpy as np
import pytest
import torch
from PIL import Image

from lpflu_bench.data.image_files import (
    ImageFileError,
    in_threads,
    is_image_name,
    read_header,
    read_image,
    stored_to_shown,
    visible_files,
)
from lpflu_bench.errors import UserError

WIDTH, HEIGHT = 7, 4
ORIENTATION = 0x0112


def noise(channels=3):
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, channels), dtype=np.uint8)


def saved(tmp_path, image, name="a.png", **settings):
    path = tmp_path / name
    image.save(path, **settings)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.webp", "a.ppm"])
def test_lossless_formats_are_read_exactly(name, tmp_path):
    path = saved(tmp_path, Image.fromarray(noise()), name, **({"lossless": True} if name.endswith("webp") else {}))
    assert torch.equal(read_image(path), torch.from_numpy(noise()).permute(2, 0, 1))
    assert read_header(path).size == (WIDTH, HEIGHT)
    assert read_header(path).bits == 8


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_every_8_bit_mode_becomes_rgb(mode, tmp_path):
    image = Image.fromarray(noise()).convert(mode)
    if mode == "RGBA":
        image.putalpha(0)  # transparency says nothing about the colours under it
    path = saved(tmp_path, image, "a.tif")
    expected = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)
    assert torch.equal(read_image(path), expected)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_16_bit_values_keep_their_high_byte(name, tmp_path):
    values = np.linspace(0, 65535, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH).astype(np.uint16)
    path = saved(tmp_path, Image.fromarray(values), name)
    image = read_image(path)
    assert image.dtype == torch.uint8
    assert (image.min(), image.max()) == (0, 255)
    assert torch.equal(image, torch.from_numpy((values >> 8).astype(np.uint8)).expand(3, -1, -1))
    assert read_header(path).bits == 16


@pytest.mark.parametrize(("dtype", "mode"), [(np.float32, "F"), (np.int32, "I")])
def test_values_without_a_known_range_are_refused(dtype, mode, tmp_path):
    path = saved(tmp_path, Image.fromarray(np.ones((HEIGHT, WIDTH), dtype)), "a.tif")
    for read in (read_image, read_header):
        with pytest.raises(UserError, match=f"{path}: its values are of the kind {mode} "):
            read(path)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif"])
def test_orientation_turns_the_image_and_boxes_of_the_stored_frame(orientation, name, tmp_path):
    stored = np.zeros((40, 64, 3), np.uint8)
    box = (8, 4, 24, 12)  # x1, y1, x2, y2
    stored[box[1] : box[3], box[0] : box[2]] = 255
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = saved(tmp_path, Image.fromarray(stored), name, exif=exif, **({"quality": 100} if name == "a.jpg" else {}))
    header, image = read_header(path), read_image(path)
    assert header.orientation == orientation
    assert header.size == (image.shape[2], image.shape[1]) == ((40, 64) if orientation >= 5 else (64, 40))
    assert header.stored_size == (64, 40)
    x1, y1, x2, y2 = map(int, stored_to_shown(box, header))
    white = image[0] > 128
    assert white[y1:y2, x1:x2].all()
    assert int(white.sum()) == 16 * 8


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "the file is empty"), (b"<html>404</html>", "not in a known image format"), (None, "is missing")],
)
def test_what_is_no_image_is_named_with_the_reason(content, reason, tmp_path):
    path = tmp_path / "a.jpg"
    if content is not None:
        path.write_bytes(content)
    for read in (read_image, read_header):
        with pytest.raises(ImageFileError, match=reason) as caught:
            read(path)
        assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_a_truncated_image_is_refused(name, tmp_path):
    path = saved(tmp_path, Image.fromarray(np.tile(noise(), (30, 30, 1))), name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ImageFileError, match=r"a\.\w+: can't be read as an image"):
        read_image(path)


def test_hidden_files_are_no_images(tmp_path):
    for name in ("b/a.jpg", "._a.jpg", ".DS_Store", "__MACOSX/a.jpg", "b/._a.jpg", "c.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [path.relative_to(tmp_path).as_posix() for path in visible_files(tmp_path)] == ["b/a.jpg", "c.txt"]
    assert [is_image_name(tmp_path / name) for name in ("a.JPG", "._a.jpg", "c.txt")] == [True, False, False]


def test_threads_keep_the_order_and_hand_over_the_first_error():
    assert in_threads(lambda i: i * i, range(200), "squares", silent=True) == [i * i for i in range(200)]
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda i: 1 // (100 - i), range(200), "fails", silent=True)
