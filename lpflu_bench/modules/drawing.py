"""Predictions drawn on images."""

import colorsys
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torchvision.utils import draw_bounding_boxes

# The colours that readers of Cityscapes results know (cityscapesScripts, helpers/labels.py).
_CUSTOMARY_COLORS = {
    "road": (128, 64, 128),
    "sidewalk": (244, 35, 232),
    "building": (70, 70, 70),
    "wall": (102, 102, 156),
    "fence": (190, 153, 153),
    "pole": (153, 153, 153),
    "traffic light": (250, 170, 30),
    "traffic sign": (220, 220, 0),
    "vegetation": (107, 142, 35),
    "terrain": (152, 251, 152),
    "sky": (70, 130, 180),
    "person": (220, 20, 60),
    "rider": (255, 0, 0),
    "car": (0, 0, 142),
    "truck": (0, 0, 70),
    "bus": (0, 60, 100),
    "train": (0, 80, 100),
    "motorcycle": (0, 0, 230),
    "bicycle": (119, 11, 32),
    "other": (0, 0, 0),
}


def class_color(index: int) -> tuple[int, int, int]:
    """Return a bright RGB colour for class ``index``; neighbouring indices get distant hues."""
    red, green, blue = colorsys.hsv_to_rgb((index * 0.618034) % 1.0, 0.85, 1.0)  # the golden ratio spreads evenly
    return round(255 * red), round(255 * green), round(255 * blue)


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
    if len(boxes) == 0:
        return image.cpu().clone()
    indices = [int(label) - 1 for label in labels]
    drawn: Tensor = draw_bounding_boxes(
        image.cpu(),
        boxes,
        labels=[f"{class_names[i]} {100 * score:.0f}" for i, score in zip(indices, scores.tolist(), strict=True)],
        colors=[class_color(i) for i in indices],
        width=max(1, round(min(image.shape[-2:]) / 200)),
    )
    return drawn


def draw_masks(image: Tensor, classes: Tensor, class_names: Sequence[str], opacity: float = 0.6) -> Tensor:
    """Return the image under the colours of its classes; Cityscapes' classes have their customary colours.

    Args:
        image: uint8 [3, H, W].
        classes: the class index of each pixel, [H, W].
        class_names: names of the classes.
        opacity: 0 shows the image alone, 1 the colours alone.
    """
    colors = [_CUSTOMARY_COLORS.get(name, class_color(index)) for index, name in enumerate(class_names)]
    palette = torch.tensor(colors, dtype=torch.float32)
    overlay = palette[classes.cpu().long()].permute(2, 0, 1)
    return torch.lerp(image.cpu().float(), overlay, opacity).round().byte()
