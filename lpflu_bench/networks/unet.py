"""The original U-Net."""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_WIDTHS = (64, 128, 256, 512, 1024)


class UNet(nn.Module):
    """The U-Net of Ronneberger, Fischer and Brox (2015): four poolings, 64 to 1,024 channels, a skip at every resolution.

    Two 3 x 3 convolutions at each resolution, each followed by ReLU; 2 x 2 max pooling on the way down; on the way up
    2 x 2 up-convolutions that halve the channels, joined with the features of the same resolution. Two things differ:
    convolutions are padded, so that the output has the image's size and nothing is cropped, and there is no dropout at
    the lowest resolution.

    Args:
        num_classes: output channels.
        batch_norm: whether each 3 x 3 convolution has batch norm behind it instead of a bias; the original has none.
    """

    def __init__(self, num_classes: int, batch_norm: bool = True) -> None:
        super().__init__()
        pairs = zip((3, *_WIDTHS), _WIDTHS, strict=False)
        self.encoder = nn.ModuleList(_two_convolutions(before, width, batch_norm) for before, width in pairs)
        self.pool = nn.MaxPool2d(2)
        upwards = _WIDTHS[-2::-1]
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * width, width, 2, stride=2) for width in upwards)
        self.decoder = nn.ModuleList(_two_convolutions(2 * width, width, batch_norm) for width in upwards)
        self.head = nn.Conv2d(_WIDTHS[0], num_classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [B, num_classes, H, W] of images [B, 3, H, W]; sides of at least 16 pixels."""
        skips: list[Tensor] = []
        features = images
        for level in self.encoder:
            features = level(self.pool(features) if skips else features)
            skips.append(features)
        for up, level, skip in zip(self.up, self.decoder, reversed(skips[:-1]), strict=True):
            features = up(features)
            height, width = skip.shape[-2] - features.shape[-2], skip.shape[-1] - features.shape[-1]
            if height or width:  # a side that no pooling could halve
                features = F.pad(features, [0, width, 0, height])
            features = level(torch.cat([skip, features], dim=1))
        logits: Tensor = self.head(features)
        return logits


def _two_convolutions(channels: int, width: int, batch_norm: bool) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, inputs in enumerate((channels, width), start=1):
        layers[f"conv{number}"] = nn.Conv2d(inputs, width, 3, padding=1, bias=not batch_norm)
        if batch_norm:
            layers[f"norm{number}"] = nn.BatchNorm2d(width)
        layers[f"act{number}"] = nn.ReLU(inplace=True)
    return nn.Sequential(layers)
