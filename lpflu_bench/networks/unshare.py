"""An activation module of its own for every place where torchvision shares one or writes the function out.

torchvision's ResNet blocks call one ReLU module two or three times; DenseNet, GoogLeNet and Inception call ``F.relu``.
The subclasses here compute the same with one module for each place, so that each can have its own function and slope.
"""

from torch import Tensor, nn
from torchvision.models import densenet, inception, resnet
from torchvision.models.googlenet import BasicConv2d as GoogLeNetConv  # torchvision.models.googlenet is the function


class _BasicBlock(resnet.BasicBlock):  # type: ignore[misc]
    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu1(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += identity
        return self.relu2(out)  # type: ignore[no-any-return]


class _Bottleneck(resnet.Bottleneck):  # type: ignore[misc]
    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu1(self.bn1(self.conv1(x)))
        out = self.relu2(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += identity
        return self.relu3(out)  # type: ignore[no-any-return]


class _DenseNet(densenet.DenseNet):  # type: ignore[misc]
    def forward(self, x: Tensor) -> Tensor:
        features = self.relu(self.features(x))
        return self.classifier(nn.functional.adaptive_avg_pool2d(features, 1).flatten(1))  # type: ignore[no-any-return]


class _GoogLeNetConv(GoogLeNetConv):  # type: ignore[misc]
    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.bn(self.conv(x)))  # type: ignore[no-any-return]


class _InceptionConv(inception.BasicConv2d):  # type: ignore[misc]
    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.bn(self.conv(x)))  # type: ignore[no-any-return]


_SUBCLASSES: dict[type[nn.Module], tuple[type[nn.Module], tuple[str, ...]]] = {
    resnet.BasicBlock: (_BasicBlock, ("relu1", "relu2")),
    resnet.Bottleneck: (_Bottleneck, ("relu1", "relu2", "relu3")),
    densenet.DenseNet: (_DenseNet, ("relu",)),
    GoogLeNetConv: (_GoogLeNetConv, ("relu",)),
    inception.BasicConv2d: (_InceptionConv, ("relu",)),
}


def unshare_activations(network: nn.Module) -> None:
    """Turn torchvision's modules of that kind into the subclasses above, in place; weights and results stay."""
    for module in network.modules():
        # Exactly these classes: a subclass may have a forward of its own.
        if (entry := _SUBCLASSES.get(type(module))) is None:
            continue
        subclass, names = entry
        if hasattr(module, "relu"):
            del module.relu
        for name in names:
            module.register_module(name, nn.ReLU(inplace=True))
        module.__class__ = subclass
