"""The embedded detection set: drawn shapes on a textured ground, in the layout of VOC."""

import colorsys
from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, ElementTree, SubElement

import numpy as np
from PIL import Image, ImageDraw

_SIZES = ((128, 96), (96, 128), (112, 112))
_SHAPES = ("circle", "square", "triangle")
_SPLITS = (("VOC2012", "trainval", 256), ("VOC2007", "test", 64))


def draw_voc(root: Path, classes: Sequence[str], seed: int = 0) -> None:
    """Draw 256 training (VOC2012, trainval) and 64 test images (VOC2007, test) of one or two objects each.

    Class ``i`` is a circle, square or triangle (``i % 3``) of a colour of its own. A few small objects are marked as
    difficult.

    Args:
        root: folder to write ``VOCdevkit`` into.
        classes: their names.
        seed: of the generator.
    """
    rng = np.random.default_rng(seed)
    for year, split, count in _SPLITS:
        folder = root / "VOCdevkit" / year
        for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
            (folder / name).mkdir(parents=True)
        stems = [f"{number:06d}" for number in range(count)]
        (folder / "ImageSets" / "Main" / f"{split}.txt").write_text("".join(f"{stem}\n" for stem in stems))
        for stem in stems:
            image, objects = _draw(rng, len(classes))
            image.save(folder / "JPEGImages" / f"{stem}.jpg", quality=95)
            tree = _annotation(f"{stem}.jpg", image.size, [(classes[i], box, small) for i, box, small in objects])
            tree.write(folder / "Annotations" / f"{stem}.xml")


def _draw(rng: np.random.Generator, num_classes: int) -> tuple[Image.Image, list[tuple[int, list[int], bool]]]:
    width, height = _SIZES[rng.integers(len(_SIZES))]
    coarse = rng.uniform(60, 160, (6, 6, 1)) + rng.uniform(-20, 20, (6, 6, 3))
    ground = Image.fromarray(coarse.astype(np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    noise = rng.normal(0, 12, (height, width, 3))
    image = Image.fromarray((np.asarray(ground) + noise).clip(0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    objects: list[tuple[int, list[int], bool]] = []
    for _ in range(rng.integers(1, 3)):
        small = rng.random() < 0.05
        side = int(rng.uniform(0.1, 0.15) * 96) if small else int(rng.uniform(0.4, 0.7) * 96)
        left, top = int(rng.integers(0, width - side)), int(rng.integers(0, height - side))
        box = [left, top, left + side, top + side]
        if any(_overlap(box, other) > 0.1 * side**2 for _, other, _ in objects):
            continue
        index = int(rng.integers(num_classes))
        hue = (index + rng.uniform(-0.2, 0.2)) / num_classes % 1.0
        _fill(pen, _SHAPES[index % len(_SHAPES)], box, hue)
        objects.append((index, box, small))
    return image, objects


def _overlap(a: Sequence[int], b: Sequence[int]) -> int:
    return max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))


def _fill(pen: ImageDraw.ImageDraw, shape: str, box: Sequence[int], hue: float) -> None:
    red, green, blue = (round(255 * channel) for channel in colorsys.hsv_to_rgb(hue, 0.9, 0.95))
    left, top, right, bottom = box[0], box[1], box[2] - 1, box[3] - 1  # Pillow's last pixel is included
    fill, outline = (red, green, blue), (20, 20, 20)
    if shape == "circle":
        pen.ellipse((left, top, right, bottom), fill=fill, outline=outline)
    elif shape == "square":
        pen.rectangle((left, top, right, bottom), fill=fill, outline=outline)
    else:
        pen.polygon([(left, bottom), (right, bottom), ((left + right) / 2, top)], fill=fill, outline=outline)


def _annotation(
    file_name: str, size: tuple[int, int], objects: Sequence[tuple[str, Sequence[int], bool]]
) -> ElementTree:
    root = Element("annotation")
    SubElement(root, "filename").text = file_name
    dimensions = SubElement(root, "size")
    for side, value in zip(("width", "height", "depth"), (*size, 3), strict=True):
        SubElement(dimensions, side).text = str(value)
    for name, (left, top, right, bottom), small in objects:
        element = SubElement(root, "object")
        SubElement(element, "name").text = name
        SubElement(element, "difficult").text = str(int(small))
        box = SubElement(element, "bndbox")
        # VOC counts pixels from 1 and includes the last.
        for corner, value in (("xmin", left + 1), ("ymin", top + 1), ("xmax", right), ("ymax", bottom)):
            SubElement(box, corner).text = str(value)
    return ElementTree(root)
