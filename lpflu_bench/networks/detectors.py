"""Detectors by name, untrained: SSDLite, with the choice that torchvision makes silently spelt out, and its like."""

from functools import partial

from torch import nn
from torchvision.models import get_model, mobilenet_v3_large
from torchvision.models.detection import _utils
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.ssd import SSD
from torchvision.models.detection.ssdlite import SSDLiteFeatureExtractorMobileNet, SSDLiteHead

from lpflu_bench.errors import UserError
from lpflu_bench.text import nearest

IMAGE_SIZE = (320, 320)
SSDLITE = "ssdlite320_mobilenet_v3_large"
DETECTORS = (SSDLITE, "ssd300_vgg16", "retinanet_resnet50_fpn", "retinanet_resnet50_fpn_v2", "fcos_resnet50_fpn")
"""torchvision's detectors in one stage: a backbone, default boxes or points, and one head."""


def build_detector(name: str, num_classes_with_background: int, *, reduced_tail: bool | None = None) -> nn.Module:
    """Build one of :data:`DETECTORS` untrained, with its own activations; nothing is downloaded.

    Args:
        name: torchvision's name.
        num_classes_with_background: number of classes, background (label 0) included.
        reduced_tail: for SSDLite, where it must be given: :func:`build_ssdlite`.

    Returns:
        In training, (images, targets) to a dict of losses; in evaluation, images to a list of dicts with boxes, scores
        and labels.

    Raises:
        UserError: unknown name, ``reduced_tail`` missing or not for this detector, or fewer than two classes.
    """
    if name not in DETECTORS:
        raise UserError(
            f"model.network: unknown detector {name!r}{nearest(name, DETECTORS)}; `lpflu-bench networks` lists all"
        )
    if name == SSDLITE:
        if reduced_tail is None:
            raise UserError(f"model.reduced_tail: {SSDLITE} needs it, true (torchvision's from scratch) or false")
        return build_ssdlite(num_classes_with_background, reduced_tail=reduced_tail)
    if reduced_tail is not None:
        raise UserError(f"model.reduced_tail: {name} has no such choice; leave it out")
    _require_a_class(num_classes_with_background)
    network: nn.Module = get_model(name, weights=None, weights_backbone=None, num_classes=num_classes_with_background)
    return network


def build_ssdlite(num_classes_with_background: int, *, reduced_tail: bool) -> nn.Module:
    """Build torchvision's ``ssdlite320_mobilenet_v3_large`` untrained, with its own activations; nothing is downloaded.

    torchvision's constructor halves the channels of the backbone's last stage ("reduced tail", MobileNetV3 paper,
    Table 6) whenever no pretrained backbone is asked for; here it is an argument. With the whole tail the backbone's
    features have 2.97 M parameters, reduced 1.62 M. Everything else is torchvision's (anchors, thresholds, the scaling
    of images from [0, 1] to [-1, 1]), and all weights train. Weights are torch's defaults: initialise them.

    Args:
        num_classes_with_background: number of classes, background (label 0) included.
        reduced_tail: whether the backbone's last stage is halved.

    Returns:
        An :class:`~torchvision.models.detection.ssd.SSD`: in training, (images, targets) to a dict of losses; in
        evaluation, images to a list of dicts with boxes, scores, labels, at most 300 for each image.

    Raises:
        UserError: fewer than two classes.
    """
    _require_a_class(num_classes_with_background)
    norm_layer = partial(nn.BatchNorm2d, eps=0.001, momentum=0.03)
    mobilenet = mobilenet_v3_large(weights=None, norm_layer=norm_layer, reduced_tail=reduced_tail).features
    # C4 is the last block that begins with a stride: its expansion is the first feature map, 1/16 of the image.
    c4 = max(index for index, block in enumerate(mobilenet) if getattr(block, "_is_cn", False))
    backbone = SSDLiteFeatureExtractorMobileNet(mobilenet, c4, norm_layer)
    anchors = DefaultBoxGenerator([[2, 3]] * 6, min_ratio=0.2, max_ratio=0.95)
    channels = _utils.retrieve_out_channels(backbone, IMAGE_SIZE)
    head = SSDLiteHead(channels, anchors.num_anchors_per_location(), num_classes_with_background, norm_layer)
    network: nn.Module = SSD(
        backbone,
        anchors,
        IMAGE_SIZE,
        num_classes_with_background,
        head=head,
        image_mean=[0.5, 0.5, 0.5],
        image_std=[0.5, 0.5, 0.5],
        score_thresh=0.001,
        nms_thresh=0.55,
        detections_per_img=300,
        topk_candidates=300,
    )
    return network


def _require_a_class(num_classes_with_background: int) -> None:
    if num_classes_with_background < 2:
        raise UserError(
            f"a detector needs the background and a class or more, not {num_classes_with_background} in all"
        )
