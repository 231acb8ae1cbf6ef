"""Random changes of image batches for classification, with parameters drawn for each image.

As in `augment.py`, numbers come from torch's global generators, which are seeded for each batch.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from kornia.augmentation import RandomErasing
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as TF

from lpflu_bench.devices import send
from lpflu_bench.errors import check_range


@dataclass(frozen=True)
class RandAugment:
    """Random operations on each image (Cubuk et al., 2020), out of the 14 that torchvision's ``RandAugment`` has.

    Args:
        num_ops: operations on an image, one after the other; at least 1.
        magnitude: their strength, 0 to 30.
    """

    num_ops: int = 2
    magnitude: int = 9

    def __post_init__(self) -> None:
        check_range("data.rand_augment.num_ops", self.num_ops, at_least=1)
        check_range("data.rand_augment.magnitude", self.magnitude, at_least=0, at_most=30)

    def __call__(self, images: Tensor) -> Tensor:
        """Return changed images, uint8 [B, 3, H, W]."""
        return _GroupedRandAugment(self.num_ops, self.magnitude)(images)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Mixing:
    """Mixes the images of a batch, and their classes in the same proportion, with torchvision's ``MixUp`` and ``CutMix``.

    With both, each batch draws which. One proportion is drawn for a batch.

    Args:
        mixup: alpha of mixup (Zhang et al., 2018), where images are averaged; 0 for none.
        cutmix: alpha of CutMix (Yun et al., 2019), where a rectangle is replaced; 0 for none.
    """

    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        check_range("data.mixing.mixup", self.mixup, at_least=0)
        check_range("data.mixing.cutmix", self.cutmix, at_least=0)
        check_range("data.mixing: the larger of mixup and cutmix", max(self.mixup, self.cutmix), above=0)

    def __call__(self, images: Tensor, targets: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
        """Return mixed images float [B, C, H, W], and shares of the classes, float [B, num_classes], for classes [B]."""
        kinds = ((v2.MixUp, self.mixup), (v2.CutMix, self.cutmix))
        used = [kind(alpha=alpha, num_classes=num_classes) for kind, alpha in kinds if alpha > 0]
        mixed: tuple[Tensor, Tensor] = used[int(torch.randint(len(used), ()))](images, targets)
        return mixed


class _GroupedRandAugment(v2.RandAugment):  # type: ignore[misc]  # torchvision has no types
    """torchvision's operations, drawn for each image; the images that drew the same one are changed together."""

    def forward(self, images: Tensor) -> Tensor:
        names = list(self._AUGMENTATION_SPACE)
        height, width = images.shape[-2:]
        images = images.clone()
        for _ in range(self.num_ops):
            drawn = torch.randint(2 * len(names), (len(images),))  # which one, and in which direction
            for value in sorted(set(drawn.tolist())):
                name, negative = names[value // 2], value % 2
                magnitudes, signed = self._AUGMENTATION_SPACE[name]
                levels = magnitudes(self.num_magnitude_bins, height, width)
                level = 0.0 if levels is None else float(levels[self.magnitude])
                members = (drawn == value).nonzero().flatten().to(images.device)
                images[members] = self._apply_image_or_video_transform(
                    images[members], name, -level if signed and negative else level, self.interpolation, self._fill
                )
        return images


def pad_and_crop(images: Tensor, padding: int = 4) -> Tensor:
    """Shift each image by a random whole number of pixels: a crop of its own size out of the image with black borders.

    Args:
        images: [B, C, H, W] of any dtype.
        padding: width of the border on each side, and so the largest shift in each direction, in pixels.

    Returns:
        The same shape and dtype.
    """
    count, _, height, width = images.shape
    # Drawn on the CPU, so that they are the same on every device.
    tops, lefts = send(torch.randint(2 * padding + 1, (2, count)), images.device)
    windows = F.pad(images, [padding] * 4).unfold(2, height, 1).unfold(3, width, 1)
    return windows[torch.arange(count, device=images.device), :, tops, lefts]


def crop_and_resize(
    images: Tensor, size: int, scale: tuple[float, float] = (0.08, 1.0), ratio: tuple[float, float] = (3 / 4, 4 / 3)
) -> Tensor:
    """Cut a random window out of each image and resize it (bilinear), as torchvision's ``RandomResizedCrop``.

    Args:
        images: uint8 [B, C, H, W]; uint8 is several times as fast as float on a CPU.
        size: height and width of what is returned, in pixels.
        scale: bounds of a window's share of the area.
        ratio: bounds of its width by its height.
    """
    crop = v2.RandomResizedCrop(size, scale, ratio, antialias=True)
    return torch.stack([crop(image) for image in images])


def erase(images: Tensor, probability: float, value: Tensor) -> Tensor:
    """Replace a random rectangle of some images (Zhong et al., 2020): 2 to 33 % of the area, sides from 0.3 to 3.3.

    Args:
        images: float [B, C, H, W].
        probability: of an image to be changed.
        value: what the rectangle gets, by channel, [C, 1, 1].
    """
    # kornia fills with one value for all channels.
    changed: Tensor = RandomErasing(scale=(0.02, 0.33), ratio=(0.3, 3.3), value=0.0, p=probability)(images - value)
    return changed + value


def fit_to(images: Tensor, size: int) -> Tensor:
    """Return the central size x size pixels of square images [B, C, S, S]; smaller images are resized (bilinear)."""
    if images.shape[-1] < size:
        resized: Tensor = TF.resize(images, [size, size], antialias=True)
        return resized
    margin = (images.shape[-1] - size) // 2
    return images[..., margin : margin + size, margin : margin + size]
