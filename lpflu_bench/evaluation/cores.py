"""Which part of a network is exported, and the network with an exported one in its place."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.ssd import SSD


class Core(ABC):
    """The part of a network that leaves PyTorch.

    Attributes:
        module: what is exported; takes one tensor [B, 3, H, W], returns a tensor or a tuple of them. Its submodules have
            the paths that they have in the network.
        output_names: of what it returns.
        outside: what is left to the program around it, for people; empty for nothing.
    """

    module: nn.Module
    output_names: tuple[str, ...]
    outside: str = ""

    @abstractmethod
    def inputs(self, images: Tensor) -> Tensor:
        """Return what the core takes for a batch of the data module's images."""

    @abstractmethod
    def network_with(self, core: nn.Module) -> nn.Module:
        """Return the whole network with another core, as the LightningModule calls it."""


class WholeNetwork(Core):
    """A network from one tensor to one tensor: all of it."""

    def __init__(self, network: nn.Module, outside: str = "") -> None:
        self.module = network
        self.output_names = ("logits",)
        self.outside = outside

    def inputs(self, images: Tensor) -> Tensor:
        """Return the images."""
        return images

    def network_with(self, core: nn.Module) -> nn.Module:
        """Return the core."""
        return core


class DetectorCore(Core):
    """An SSD without its post-processing, whose number of boxes depends on the values: backbone and head."""

    def __init__(self, network: SSD) -> None:
        self.network = network
        self.module = _BackboneAndHead(network)
        self.output_names = ("bbox_regression", "cls_logits")
        self.outside = "scaling of pixels from 0..1 to -1..1, default boxes, box decoding, non-maximum suppression"

    def inputs(self, images: Tensor) -> Tensor:
        """Return the images as the detector scales them."""
        height, width = images.shape[-2:]
        self.network.transform.fixed_size = (width, height)
        tensors: Tensor = self.network.transform(list(images))[0].tensors
        return tensors

    def network_with(self, core: nn.Module) -> nn.Module:
        """Return the detector around another backbone and head."""
        return _DetectorAround(self.network, core)


class _BackboneAndHead(nn.Module):
    def __init__(self, network: SSD) -> None:
        super().__init__()
        self.backbone, self.head = network.backbone, network.head

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        outputs = self.head(list(self.backbone(images).values()))
        return outputs["bbox_regression"], outputs["cls_logits"]


class _DetectorAround(nn.Module):
    """SSD's forward in evaluation with another core."""

    def __init__(self, network: SSD, core: nn.Module) -> None:
        super().__init__()
        self.network, self.core = network, core
        self.transform = network.transform  # the LightningModule sets its size

    def forward(self, images: Tensor, targets: Any = None) -> list[dict[str, Tensor]]:
        sizes = [(image.shape[-2], image.shape[-1]) for image in images]
        transformed = self.transform(list(images))[0]
        boxes, logits = self.core(transformed.tensors)
        # Of the feature maps the default boxes need the shapes alone.
        features = [feature.new_empty(()).expand(feature.shape) for feature in self._features(transformed.tensors[:1])]
        anchors = self.network.anchor_generator(transformed, features)
        outputs = {"bbox_regression": boxes, "cls_logits": logits}
        detections = self.network.postprocess_detections(outputs, anchors, transformed.image_sizes)
        boxes_in_images: list[dict[str, Tensor]] = self.transform.postprocess(
            detections, transformed.image_sizes, sizes
        )
        return boxes_in_images

    def _features(self, image: Tensor) -> list[Tensor]:
        return list(self.network.backbone(image).values())


def core_of(network: nn.Module, kind: str) -> Core:
    """Return what is exported of a network of a task's kind."""
    if isinstance(network, SSD):
        return DetectorCore(network)
    if kind == "segmentation":
        return WholeNetwork(network, outside="resizing the logits to the label's size, the largest class")
    return WholeNetwork(network)


def with_relu(module: nn.Module, paths: list[str]) -> None:
    """Put a plain ReLU, in place, wherever the run's function is: what its latency is compared with."""
    for path in paths:
        module.set_submodule(path, nn.ReLU())


@torch.inference_mode()
def outputs_of(core: nn.Module, inputs: Tensor) -> tuple[Tensor, ...]:
    """Return what a core returns, always as a tuple."""
    outputs = core(inputs)
    return outputs if isinstance(outputs, tuple) else (outputs,)
