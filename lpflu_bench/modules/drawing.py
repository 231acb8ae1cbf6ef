"""Predictions drawn on images."""

import colorsys
from collections.abc import Mapping, Sequence

from torch import Tensor
from torchvision.utils import draw_bounding_boxes


def class_color(index: int) -> tuple[int, int, int]:
    """Return a bright RGB colour for class ``index``; neighbouring indices get distant hues."""
    red, green, blue = colorsys.hsv_to_rgb((index * 0.618034) % 1.0, 0.85, 1.0)  # the golden ratio spreads evenly
    return round(255 * red), round(255 * green), round(255 * blue)


def draw_predictions(
    image: Tensor, prediction: Mapping[str, Tensor], class_names: Sequence[str], score_threshold: float = 0.5
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
