import pytest
import torch
from torch import nn

from lpflu_bench.activations.replace import replace_activations
from lpflu_bench.errors import UserError
from lpflu_bench.networks.initializers import initialize
from lpflu_bench.networks.unet import build_unet


@pytest.mark.parametrize(
    ("encoder_name", "encoder", "slopes"),
    [("vgg13_bn", 10, {"fixed": 22}), ("resnet34", 33, {"ema": 32, "fixed": 11})],
)
def test_every_place_is_replaced(encoder_name, encoder, slopes):
    with torch.device("meta"):
        network = build_unet(4, encoder_name=encoder_name)
    report = replace_activations(network, "lpflu")
    assert report.counts() == {"replaced": sum(slopes.values()), "kept": 0, "left": 0, "slopes": slopes}
    assert sum(p.path.startswith("encoder.") for p in report.placements) == encoder
    assert not any(isinstance(m, nn.ReLU) for m in network.modules())


def test_logits_at_the_size_of_the_image():
    network = build_unet(4, encoder_name="resnet18").eval()
    initialize(network)
    logits = network(torch.rand(1, 3, 64, 96))
    assert logits.shape == (1, 4, 64, 96)
    assert logits.min() < 0 < logits.max()  # no activation at the output


def test_default_is_two_plain_convolutions_at_each_resolution():
    with torch.device("meta"):
        network = build_unet(2)
    layers = [m for m in network.encoder.features if isinstance(m, (nn.Conv2d, nn.MaxPool2d))]
    kinds = "".join("c" if isinstance(layer, nn.Conv2d) else "p" for layer in layers)
    assert kinds == "ccp" * 5


@pytest.mark.parametrize(
    ("encoder_name", "num_classes", "message"),
    [
        ("resnet43", 4, r"unknown encoder 'resnet43'.*resnet34"),
        ("tu-no_such_network", 4, "timm has no such network"),
        ("resnet18", 0, "num_classes must be at least 1"),
    ],
)
def test_what_cannot_be_built_is_one_line(encoder_name, num_classes, message):
    with pytest.raises(UserError, match=message) as caught:
        build_unet(num_classes, encoder_name=encoder_name)
    assert "\n" not in str(caught.value)
