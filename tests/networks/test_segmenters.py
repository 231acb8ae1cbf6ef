import pytest
import torch
from torch import nn

from lpflu_bench.activations.replace import replace_activations
from lpflu_bench.errors import UserError
from lpflu_bench.networks.initializers import initialize
from lpflu_bench.networks.segmenters import build_segmenter, segmenter_name


@pytest.mark.parametrize(
    ("encoder_name", "encoder", "slopes"),
    [("vgg13_bn", 10, {"fixed": 22}), ("resnet34", 33, {"ema": 32, "fixed": 11})],
)
def test_every_place_is_replaced(encoder_name, encoder, slopes):
    with torch.device("meta"):
        network = build_segmenter(4, encoder_name=encoder_name)
    report = replace_activations(network, "lpflu")
    assert report.counts() == {"replaced": sum(slopes.values()), "kept": 0, "left": 0, "slopes": slopes}
    assert sum(p.path.startswith("encoder.") for p in report.placements) == encoder
    assert not any(isinstance(m, nn.ReLU) for m in network.modules())


def test_logits_at_the_size_of_the_image():
    network = build_segmenter(4, encoder_name="resnet18").eval()
    initialize(network)
    logits = network(torch.rand(1, 3, 64, 96))
    assert logits.shape == (1, 4, 64, 96)
    assert logits.min() < 0 < logits.max()  # no activation at the output


def test_default_is_two_plain_convolutions_at_each_resolution():
    with torch.device("meta"):
        network = build_segmenter(2)
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
        build_segmenter(num_classes, encoder_name=encoder_name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("architecture", "encoder_name"), [("fpn", "resnet18"), ("segformer", "mit_b0"), ("deeplabv3plus", "resnet18")]
)
def test_other_architectures(architecture, encoder_name):
    network = build_segmenter(3, architecture=architecture, encoder_name=encoder_name)
    report = replace_activations(network, "lpflu")
    assert report.coverage == 1
    assert report.counts()["slopes"]["ema"] > 0
    # The decoder's parts across scales are no blocks.
    assert {p.block for p in report.placements if p.path.startswith("decoder.") and "block" in p.path} <= {
        "feed-forward"
    }


def test_an_architecture_that_does_not_go_with_an_encoder_is_one_line():
    with pytest.raises(UserError, match=r"deeplabv3 can't be built on vgg13_bn: ") as caught:
        build_segmenter(3, architecture="deeplabv3", encoder_name="vgg13_bn")
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=r"unknown architecture 'unett'.*unet"):
        build_segmenter(3, architecture="unett")


def original_unet(**settings):
    return build_segmenter(2, architecture="original_unet", **settings)


def test_the_original_unet_has_its_papers_layers():
    """23 convolutional layers; without norm and with the paper's one input channel they have 31,030,658 parameters."""
    with torch.device("meta"):
        plain, normed = original_unet(batch_norm=False), original_unet()
    layers = [m for m in plain.modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))]
    assert len(layers) == 23
    assert {m.out_channels for m in layers} == {64, 128, 256, 512, 1024, 2}
    assert [m.kernel_size for m in layers if isinstance(m, nn.ConvTranspose2d)] == [(2, 2)] * 4
    count = sum(p.numel() for p in plain.parameters())
    assert count - 2 * 64 * 9 == 31_030_658
    assert not any(isinstance(m, nn.BatchNorm2d) for m in plain.modules())
    assert sum(isinstance(m, nn.BatchNorm2d) for m in normed.modules()) == 18


@pytest.mark.parametrize("size", [(32, 48), (35, 50)])
def test_the_original_unet_has_a_skip_at_every_resolution(size):
    network = original_unet().eval()
    sizes = []
    for level in network.decoder:
        level.register_forward_pre_hook(lambda _, inputs: sizes.append(tuple(inputs[0].shape[1:])))
    logits = network(torch.rand(1, 3, *size))
    assert logits.shape == (1, 2, *size)
    channels, widths = [1024, 512, 256, 128], [side // 2**k for k in (3, 2, 1, 0) for side in size]
    assert [shape[0] for shape in sizes] == channels
    assert [side for shape in sizes for side in shape[1:]] == widths
    # The skip's half of the first convolution after the last up-convolution is used.
    network.up[-1].weight.data.zero_()
    network.up[-1].bias.data.zero_()
    assert network(torch.rand(1, 3, *size)).std() > 0


def test_every_place_of_the_original_unet_gets_a_fixed_slope():
    with torch.device("meta"):
        network = original_unet()
    report = replace_activations(network, "lpflu")
    assert report.counts() == {"replaced": 18, "kept": 0, "left": 0, "slopes": {"fixed": 18}}


def test_names_of_segmenters():
    assert segmenter_name("original_unet", None, True) == "original_unet"
    assert segmenter_name("original_unet", None, False) == "original_unet without batch norm"
    assert segmenter_name("unet", None, True) == "unet-vgg13_bn"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"architecture": "original_unet", "encoder_name": "resnet18"}, "original_unet has an encoder of its own"),
        ({"architecture": "fpn", "batch_norm": False}, "only original_unet can be built without, not fpn"),
    ],
)
def test_settings_of_another_architecture_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        build_segmenter(2, **settings)
