"""Boxes and masks, labelled or predicted, drawn on images."""

import colorsys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torchvision.datasets import Cityscapes
from torchvision.utils import draw_bounding_boxes

# The colours that readers of Cityscapes results know.
_CUSTOMARY_COLORS = {c.name: c.color for c in Cityscapes.classes if not c.ignore_in_eval} | {"other": (0, 0, 0)}


def class_color(index: int) -> tuple[int, int, int]:
    """Return a bright RGB colour for class ``index``; neighbouring indices get distant hues."""
    red, green, blue = colorsys.hsv_to_rgb((index * 0.618034) % 1.0, 0.85, 1.0)  # the golden ratio spreads evenly
    return round(255 * red), round(255 * green), round(255 * blue)


def draw_boxes(image: Tensor, boxes: Tensor, indices: Sequence[int], texts: Sequence[str]) -> Tensor:
    """Return the image with boxes in the colours of their classes.

    Args:
        image: uint8 [3, H, W].
        boxes: [N, 4] (x1, y1, x2, y2) in pixels of ``image``.
        indices: class index of each box, from 0.
        texts: what is written at each box.
    """
    if len(boxes) == 0:
        return image.cpu().clone()
    drawn: Tensor = draw_bounding_boxes(
        image.cpu(),
        boxes,
        labels=list(texts),
        colors=[class_color(i) for i in indices],
        width=max(1, round(min(image.shape[-2:]) / 200)),
    )
    return drawn


def draw_predictions(
    image: Tensor, prediction: Mapping[str, Tensor], class_names: Sequence[str], score_threshold: float = 0.3
) -> Tensor:
    """Return the image with its predicted boxes, each with class name and score in percent.

    Args:
        image: uint8 [3, H, W].
        prediction: ``boxes`` [N, 4] (x1, y1, x2, y2) in pixels of ``image``, ``labels`` [N] (1 for the first class),
            ``scores`` [N].
        class_names: names of the classes without background.
        score_threshold: boxes below it are not drawn.
    """
    kept = prediction["scores"] >= score_threshold
    boxes, labels, scores = (prediction[name][kept].cpu() for name in ("boxes", "labels", "scores"))
    indices = [int(label) - 1 for label in labels]
    texts = [f"{class_names[i]} {100 * score:.0f}" for i, score in zip(indices, scores.tolist(), strict=True)]
    return draw_boxes(image, boxes, indices, texts)


def draw_masks(image: Tensor, classes: Tensor, class_names: Sequence[str], opacity: float = 0.6) -> Tensor:
    """Return the image under the colours of its classes; Cityscapes' classes have their customary colours.

    Args:
        image: uint8 [3, H, W].
        classes: the class index of each pixel, [H, W]; what is none (ignored pixels) is left as it is.
        class_names: names of the classes.
        opacity: 0 shows the image alone, 1 the colours alone.
    """
    colors = [_CUSTOMARY_COLORS.get(name, class_color(index)) for index, name in enumerate(class_names)]
    palette = torch.tensor(colors, dtype=torch.float32)
    classes = classes.cpu().long()
    known = classes < len(colors)
    overlay = palette[classes.where(known, 0)].permute(2, 0, 1)
    return torch.lerp(image.cpu().float(), overlay, opacity * known.float()).round().byte()


def save_png(pixels: Tensor, path: Path) -> None:
    """Write uint8 pixels [1 or 3, H, W] as a PNG file, grey or RGB."""
    rows = pixels.cpu().permute(1, 2, 0).numpy()
    Image.fromarray(rows[..., 0] if rows.shape[-1] == 1 else rows).save(path)
