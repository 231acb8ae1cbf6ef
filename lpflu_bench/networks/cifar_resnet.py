"""The small residual networks for 32 x 32 images of He et al. 2016, section 4.2."""

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

CIFAR_RESNETS = {f"resnet{6 * n + 2}": n for n in (1, 2, 3, 5, 7, 9, 18)}
"""Name -> blocks in each of the three stages; resnet18 and resnet34 are torchvision's."""


class CifarResNet(nn.Module):
    """Three stages of 16, 32 and 64 channels, two downsamplings, 6n + 2 layers ("Deep Residual Learning", CVPR 2016).

    Where a stage begins, the skip connection is a strided 1 x 1 convolution with batch norm (their option B), as in
    torchvision's ResNets, from which the block is taken.

    Args:
        blocks_per_stage: n.
        num_classes: number of outputs.
    """

    def __init__(self, blocks_per_stage: int, num_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = _stage(16, 16, blocks_per_stage, stride=1)
        self.layer2 = _stage(16, 32, blocks_per_stage, stride=2)
        self.layer3 = _stage(32, 64, blocks_per_stage, stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [B, num_classes] of images [B, 3, H, W]."""
        features: Tensor = self.relu(self.bn1(self.conv1(images)))
        features = self.layer3(self.layer2(self.layer1(features)))
        logits: Tensor = self.fc(self.avgpool(features).flatten(1))
        return logits


def _stage(in_channels: int, out_channels: int, num_blocks: int, stride: int) -> nn.Sequential:
    projection = None
    if stride != 1 or in_channels != out_channels:
        projection = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
        )
    first = BasicBlock(in_channels, out_channels, stride, projection)
    return nn.Sequential(first, *(BasicBlock(out_channels, out_channels) for _ in range(num_blocks - 1)))
