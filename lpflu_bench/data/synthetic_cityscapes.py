"""The embedded street scenes: sky, buildings, trees, road, cars and people drawn by code, in Cityscapes' layout."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

SCENES_NAME = "cityscapes-1"
"""Name of the set with its version: change it when what is drawn changes."""

SPLITS = {"train": 128, "val": 32}
HEIGHT, WIDTH = 96, 192

_COLORS = {  # label id of Cityscapes: base colour
    4: (90, 80, 70),  # static: without a train id, "other"
    7: (105, 100, 105),  # road
    8: (170, 160, 150),  # sidewalk
    11: (150, 95, 75),  # building
    17: (60, 60, 60),  # pole
    20: (225, 200, 40),  # traffic sign
    21: (60, 110, 45),  # vegetation
    23: (150, 190, 230),  # sky
    24: (200, 60, 90),  # person
    26: (40, 60, 150),  # car
}
_COLOR_SPREAD, _NOISE = 18.0, 9.0


class _Scene:
    """A picture and its label ids, drawn together; later objects cover earlier ones."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.picture = Image.new("RGB", (WIDTH, HEIGHT))
        self.label = Image.new("L", (WIDTH, HEIGHT))
        self._drawing, self._ids = ImageDraw.Draw(self.picture), ImageDraw.Draw(self.label)

    def _color(self, label_id: int) -> tuple[int, ...]:
        drawn = np.array(_COLORS[label_id]) + self.rng.normal(0.0, _COLOR_SPREAD, 3)
        return tuple(int(c) for c in drawn.clip(0, 255))

    def rectangle(self, label_id: int, x0: float, y0: float, x1: float, y1: float) -> None:
        self._drawing.rectangle((x0, y0, x1, y1), fill=self._color(label_id))
        self._ids.rectangle((x0, y0, x1, y1), fill=label_id)

    def ellipse(self, label_id: int, x0: float, y0: float, x1: float, y1: float) -> None:
        self._drawing.ellipse((x0, y0, x1, y1), fill=self._color(label_id))
        self._ids.ellipse((x0, y0, x1, y1), fill=label_id)

    def polygon(self, label_id: int, *corners: tuple[float, float]) -> None:
        self._drawing.polygon(corners, fill=self._color(label_id))
        self._ids.polygon(corners, fill=label_id)

    def pixels(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return the picture with noise, uint8 [H, W, 3], and the label ids, uint8 [H, W]."""
        noise = self.rng.normal(0.0, _NOISE, (HEIGHT, WIDTH, 3))
        picture = (np.asarray(self.picture) + noise).clip(0, 255).astype(np.uint8)
        return picture, np.asarray(self.label)


def draw_scene(rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw one street scene: the picture uint8 [96, 192, 3] and its Cityscapes label ids uint8 [96, 192]."""
    scene = _Scene(rng)
    horizon = rng.uniform(0.42, 0.55) * HEIGHT
    scene.rectangle(23, 0, 0, WIDTH, HEIGHT)
    left = 0.0
    while left < WIDTH:
        width = rng.uniform(20, 50)
        if rng.random() < 0.8:
            scene.rectangle(11, left, rng.uniform(0.05, 0.7) * horizon, left + width, horizon + 4)
        left += width + rng.uniform(-2, 12)
    for _ in range(rng.integers(1, 5)):
        x, size = rng.uniform(0, WIDTH), rng.uniform(8, 18)
        scene.ellipse(21, x - size, horizon - 1.6 * size, x + size, horizon + 3)
    scene.rectangle(8, 0, horizon, WIDTH, HEIGHT)
    vanishing = rng.uniform(0.35, 0.65) * WIDTH
    bottom = rng.uniform(0.02, 0.12) * WIDTH
    scene.polygon(7, (vanishing - 14, horizon), (vanishing + 14, horizon), (WIDTH - bottom, HEIGHT), (bottom, HEIGHT))
    for x in rng.uniform(0, WIDTH, rng.integers(0, 4)):
        foot = horizon + rng.uniform(2, 8)
        top = foot - rng.uniform(30, 44)
        scene.rectangle(17, x - 1, top, x + 1, foot)
        if rng.random() < 0.7:
            scene.rectangle(20, x - 5, top, x + 5, top + 8)
    # The nearer (lower) an object the larger; the farthest is drawn first.
    for depth in np.sort(rng.uniform(0.05, 0.8, rng.integers(2, 7))):
        foot, scale = horizon + depth * (HEIGHT - horizon), 0.35 + depth
        if rng.random() < 0.6:
            x, w, h = rng.uniform(0.15, 0.85) * WIDTH, 18 * scale, 10 * scale
            scene.rectangle(26, x - w, foot - h, x + w, foot)
            scene.polygon(
                26,
                (x - 0.6 * w, foot - h),
                (x - 0.4 * w, foot - 1.7 * h),
                (x + 0.4 * w, foot - 1.7 * h),
                (x + 0.6 * w, foot - h),
            )
        else:
            x, w, h = rng.uniform(0.05, 0.95) * WIDTH, 3.2 * scale, 24 * scale
            scene.rectangle(24, x - w, foot - 0.75 * h, x + w, foot)
            scene.ellipse(24, x - w, foot - h, x + w, foot - 0.7 * h)
    if rng.random() < 0.5:
        x = rng.uniform(0, WIDTH)
        scene.rectangle(4, x, HEIGHT - 14, x + rng.uniform(10, 24), HEIGHT - 5)
    return scene.pixels()


def draw_scenes(root: Path) -> None:
    """Write the whole set under ``root``: ``leftImg8bit`` and ``gtFine`` with 128 train and 32 val scenes."""
    for split, count in SPLITS.items():
        rng = np.random.default_rng([len(split), count])
        folders = [root / part / split / "demo" for part in ("leftImg8bit", "gtFine")]
        for folder in folders:
            folder.mkdir(parents=True)
        for index in range(count):
            picture, label = draw_scene(rng)
            stem = f"demo_{index:06d}_000000"
            Image.fromarray(picture).save(folders[0] / f"{stem}_leftImg8bit.png")
            Image.fromarray(label).save(folders[1] / f"{stem}_gtFine_labelIds.png")
