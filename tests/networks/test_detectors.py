import pytest
import torch
from torch import nn
from torchvision.models.detection import ssdlite320_mobilenet_v3_large

from lpflu_bench.activations.replace import replace_activations
from lpflu_bench.errors import UserError
from lpflu_bench.modules.detection import DetectionModule
from lpflu_bench.networks.detectors import SSDLITE, build_detector, build_ssdlite
from lpflu_bench.networks.initializers import initialize


@pytest.fixture(scope="module")
def torchvisions():
    return ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=21).eval()


def test_reduced_tail_is_torchvisions_network(torchvisions):
    network = build_ssdlite(21, reduced_tail=True).eval()
    network.load_state_dict(torchvisions.state_dict())
    images = [torch.rand(3, 120, 160)]
    torch.manual_seed(0)
    ours, theirs = network(images)[0], torchvisions(images)[0]
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert len(theirs["boxes"]) > 0


@pytest.mark.parametrize(("reduced_tail", "parameters"), [(True, 1.62), (False, 2.97)])
def test_the_tail_is_a_choice(reduced_tail, parameters):
    network = build_ssdlite(21, reduced_tail=reduced_tail)
    assert round(sum(p.numel() for p in network.backbone.features.parameters()) / 1e6, 2) == parameters
    assert all(p.requires_grad for p in network.parameters())


@pytest.mark.parametrize("reduced_tail", [True, False])
def test_every_place_is_replaced(reduced_tail):
    network = build_ssdlite(21, reduced_tail=reduced_tail)
    report = replace_activations(network, "lpflu")
    old = [placement.old for placement in report.placements]
    assert {name: old.count(name) for name in set(old)} == {"Hardswish": 20, "ReLU": 19, "ReLU6": 24}
    assert sum(placement.squeeze_excitation for placement in report.placements) == 8
    assert [kept.type for kept in report.kept] == ["Hardsigmoid"] * 8
    assert not any(isinstance(m, (nn.ReLU, nn.ReLU6, nn.Hardswish)) for m in network.modules())

    # EMA exactly in the ten inverted residuals with a skip.
    blocks = [m for m in network.modules() if type(m).__name__ == "InvertedResidual" and m.use_res_connect]
    assert len(blocks) == 10
    inside = {id(m) for block in blocks for m in block.modules()}
    for placement in report.placements:
        expected = "ema" if id(network.get_submodule(placement.path)) in inside else "fixed"
        assert placement.slope == expected, placement.path
    assert {p.slope for p in report.placements if p.path.startswith(("head.", "backbone.extra."))} == {"fixed"}


def test_initialisation_covers_extra_blocks_and_heads():
    network = build_ssdlite(3, reduced_tail=True)
    initialize(network)
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            weight = module.weight
            area = weight[0, 0].numel()
            bound = (6 / ((weight.shape[0] + weight.shape[1]) * area)) ** 0.5
            assert 0.8 * bound < weight.abs().max() <= bound, name
            assert module.bias is None or not module.bias.any(), name


@pytest.mark.slow
def test_it_trains_after_the_swap():
    network = build_ssdlite(3, reduced_tail=True)
    initialize(network)
    replace_activations(network, "lpflu")
    target = {"boxes": torch.tensor([[10.0, 10.0, 60.0, 70.0]]), "labels": torch.tensor([1])}
    losses = network([torch.rand(3, 96, 96), torch.rand(3, 96, 96)], [target, target])
    sum(losses.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_too_few_classes():
    with pytest.raises(UserError, match="background and a class or more, not 1"):
        build_ssdlite(1, reduced_tail=True)


@pytest.mark.parametrize(
    ("name", "reduced_tail", "message"),
    [
        ("retinanet", None, r"unknown detector 'retinanet'"),
        (SSDLITE, None, r"model\.reduced_tail: ssdlite320_mobilenet_v3_large needs it"),
        ("fcos_resnet50_fpn", True, "has no such choice"),
    ],
)
def test_what_cannot_be_built_is_one_line(name, reduced_tail, message):
    with pytest.raises(UserError, match=message):
        build_detector(name, 3, reduced_tail=reduced_tail)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size"), [("ssd300_vgg16", 300), ("retinanet_resnet50_fpn", 96), ("fcos_resnet50_fpn", 96)]
)
def test_other_detectors_train_as_ssdlite_does(name, size):
    module = DetectionModule(num_classes=2, network=name, activation="lpflu")
    assert module.network_name == name
    target = {"boxes": torch.tensor([[10.0, 10.0, 60.0, 70.0]]), "labels": torch.tensor([2])}
    losses = module(torch.rand(2, 3, size, size), [target, target])
    sum(losses.values()).backward()
    predictions = module.eval()(torch.rand(1, 3, size, size))
    assert set(predictions[0]) >= {"boxes", "scores", "labels"}
    assert module.placement.coverage == 1
