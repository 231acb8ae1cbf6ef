"""Boxes of a batch in one tensor, so that the device works on all of them at once."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

Target = dict[str, Any]


class PackedTargets(NamedTuple):
    """The objects of a batch of B images, M in all, one after the other.

    Attributes:
        boxes: float [M, 4] (x1, y1, x2, y2) in pixels of the network's input.
        labels: long [M], 1 for the first class.
        iscrowd: long [M], 1 where a detection of the object counts neither for nor against.
        image_index: long [M], which of the B images an object is in; ascending.
        counts: number of objects in each image.
        image_id: long [B], index of the image in its set.
        size: long [B, 2], height and width of the original image.
    """

    boxes: Tensor
    labels: Tensor
    iscrowd: Tensor
    image_index: Tensor
    counts: tuple[int, ...]
    image_id: Tensor
    size: Tensor

    def unpack(self) -> list[Target]:
        """Return a dict for each image, as torchvision's detectors and torchmetrics take them."""
        names = ("boxes", "labels", "iscrowd", "image_id", "size")
        counts = list(self.counts)
        columns = (
            torch.split(self.boxes, counts),
            torch.split(self.labels, counts),
            torch.split(self.iscrowd, counts),
            self.image_id,
            self.size,
        )
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def flip_boxes(targets: PackedTargets, flipped: Tensor, width: int) -> PackedTargets:
    """Mirror the boxes of the images that were mirrored left to right.

    Args:
        targets: the objects of B images.
        flipped: bool [B], which images were.
        width: of the images in pixels.
    """
    x1, y1, x2, y2 = targets.boxes.unbind(1)
    mirrored = torch.stack([width - x2, y1, width - x1, y2], dim=1)
    return targets._replace(boxes=torch.where(flipped[targets.image_index][:, None], mirrored, targets.boxes))
