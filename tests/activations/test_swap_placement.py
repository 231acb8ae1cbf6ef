"""Where a slope goes, by the data flow: equal to the placements by class name that these networks had before."""

import itertools
from pathlib import Path

import pandas as pd
import pytest
import timm
import torch
import torchvision
from segmentation_models_pytorch import Unet
from torch import nn

from lpflu_bench.activations.replace import replace_activations
from lpflu_bench.activations.swap.inputs import Inputs, image
from lpflu_bench.activations.swap.placement import classify
from lpflu_bench.activations.swap.trace import trace
from lpflu_bench.networks.classifiers import build_classifier
from lpflu_bench.networks.detectors import build_ssdlite

RECORDED = pd.read_csv(Path(__file__).parent / "placements.csv", dtype=str)
"""Network -> run lengths of places in the order of execution: r residual, d dense, s shuffle, f feed-forward; e: inside
squeeze-and-excitation."""


def build(name):
    kind, _, rest = name.partition("-")
    if kind == "unet":
        with torch.device("cpu" if rest.startswith(("tu-", "mit")) else "meta"):
            return Unet(rest, encoder_weights=None, classes=4)
    if kind == "ssdlite":
        return build_ssdlite(21, reduced_tail=rest == "True")
    with torch.device("cpu" if name.startswith("regnet") else "meta"):
        return build_classifier(name, 10)


def places(network):
    detector = hasattr(network, "anchor_generator")
    inputs = Inputs(([torch.rand(3, 64, 64)],)) if detector else image(224)
    seen = trace(network, inputs, training=False, meta=not detector)
    for call, (role, block) in zip(seen.calls, classify(seen), strict=True):
        if call.kind == "main" and role not in ("gate", "output"):
            yield block[0] + ("e" if role == "squeeze-and-excitation" else "")


@pytest.mark.parametrize(
    ("name", "placement"),
    [
        pytest.param(row.network, row.placement, marks=[pytest.mark.slow] if row.speed == "slow" else [])
        for row in RECORDED.itertuples()
    ],
)
def test_placements_are_what_they_were(name, placement):
    runs = itertools.groupby(places(build(name)))
    assert " ".join(f"{len(list(group))}{kind}" for kind, group in runs) == placement


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("vit_b_16", "vit_base_patch16_224"),
        ("resnet50", "resnet50"),
        ("mobilenet_v3_large", "tf_mobilenetv3_large_100"),
    ],
)
def test_one_architecture_has_one_placement_in_every_library(ours, theirs):
    with torch.device("meta"):
        networks = torchvision.models.get_model(ours, weights=None), timm.create_model(theirs)
    assert list(places(networks[0])) == list(places(networks[1]))


def linear_places(network):
    seen = trace(network, Inputs((torch.empty(2, 8, device="meta"),)), training=True)
    return [block if role == "hidden" else role for role, block in classify(seen)]


class Net(nn.Module):
    """A trunk of two linear layers around what ``middle(self, x)`` does with them."""

    def __init__(self, middle):
        super().__init__()
        self.a, self.b, self.c, self.head = (nn.Linear(8, 8) for _ in range(4))
        self.act = nn.ReLU()
        self.middle = middle

    def forward(self, x):
        return self.head(self.middle(self, self.a(x)))


@pytest.mark.parametrize(
    ("middle", "expected"),
    [
        (lambda net, x: x + net.b(net.act(x)), ["residual"]),
        (lambda net, x: net.c(x) + net.b(net.act(x)), ["residual"]),  # a projection
        (lambda net, x: net.c(net.c(x)) + net.b(net.act(x)), ["feed-forward"]),  # two are no skip
        (lambda net, x: net.c(net.act(x)) + net.b(net.act(x)), ["feed-forward", "feed-forward"]),  # two branches
        (lambda net, x: net.act(x + net.b(x)), ["residual"]),  # takes the sum
        (lambda net, x: net.act(net.c(x) + net.b(x)), ["feed-forward"]),  # one wide layer
        (lambda net, x: net.act(x), ["feed-forward"]),
        (lambda net, x: net.act(net.b(x)) * net.c(x), ["gate"]),  # SwiGLU
        (lambda net, x: x * net.b(net.act(x)).sigmoid(), ["squeeze-and-excitation", "gate"]),
        (lambda net, x: x + net.act(net.b.weight) @ net.c.weight.sum(0), ["position"]),
    ],
)
def test_the_rules(middle, expected):
    assert linear_places(Net(middle)) == expected


def test_what_ends_the_network_is_an_output():
    network = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU())
    assert linear_places(network) == ["feed-forward", "output"]
    report = replace_activations(network, "lpflu")
    assert [(k.path, k.why) for k in report.kept] == [("3", "output")]
    assert report.sentence() == "1 place (slopes: 1 fixed), 1 other kept (1 output)"
    assert report.remarks() == ["no place is in a residual, dense or shuffle block, so that every slope is a fixed one"]
