import copy

import pytest
import torch
from torch import nn
from torchvision.models import DenseNet
from torchvision.models.googlenet import BasicConv2d as GoogLeNetConv
from torchvision.models.inception import BasicConv2d as InceptionConv
from torchvision.models.resnet import BasicBlock, Bottleneck

from lpflu_bench.errors import UserError
from lpflu_bench.networks.classifiers import build_classifier
from lpflu_bench.networks.dry_run import dry_run, functional_activations, require_activation_modules
from lpflu_bench.networks.unshare import unshare_activations


@pytest.mark.parametrize(
    ("make", "places"),
    [
        (lambda: BasicBlock(8, 8), 2),
        (lambda: BasicBlock(3, 8, 2, nn.Conv2d(3, 8, 1, 2)), 2),
        (lambda: Bottleneck(8, 2), 3),
        (lambda: DenseNet(4, (1, 1, 1, 1), 8, num_classes=3), 12 + 1),
        (lambda: GoogLeNetConv(3, 4, kernel_size=3), 1),
        (lambda: InceptionConv(3, 4, kernel_size=3), 1),
    ],
)
def test_results_stay_and_every_place_has_its_module(make, places):
    torch.manual_seed(0)
    original = make()
    changed = copy.deepcopy(original)
    unshare_activations(changed)
    channels = next(original.parameters()).shape[1]
    images = torch.randn(2, channels, 64, 64)
    assert torch.equal(original(images), changed(images))
    assert original.state_dict().keys() == changed.state_dict().keys()
    relus = [module for module in changed.modules() if isinstance(module, nn.ReLU)]
    assert len(relus) == len({id(relu) for relu in relus}) == places


@pytest.mark.parametrize("name", ["resnet8", "resnet50", "densenet121", "googlenet", "shufflenet_v2_x0_5"])
def test_every_activation_module_is_called_once(name):
    with torch.device("meta"):
        network = build_classifier(name, 10)
    calls = {}

    def count(module, *_):
        calls[module] = calls.get(module, 0) + 1

    relus = [module for module in network.modules() if isinstance(module, nn.ReLU)]
    for relu in relus:
        relu.register_forward_hook(count)
    dry_run(network, 64)
    assert [calls.get(relu) for relu in relus] == [1] * len(relus)


class WrittenOut(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.act = nn.ReLU()

    def forward(self, x):
        return torch.relu(nn.functional.silu(self.act(self.conv(x))).relu() * torch.sigmoid(x.mean()))


def test_functions_written_out_in_a_forward_are_found():
    network = nn.Sequential(nn.Conv2d(3, 3, 1), WrittenOut())
    assert functional_activations(network, 8) == [("1", "silu"), ("1", "relu"), ("1", "relu")]
    assert functional_activations(DenseNet(4, (1, 1, 1, 1), 8), 64) == [("", "relu")]
    with pytest.raises(UserError, match=r"net calls silu in the forward of 1 \(.*WrittenOut\).*3 such calls"):
        require_activation_modules(network, "net", 8)


def test_a_dry_run_leaves_no_trace():
    network = build_classifier("resnet8", 10).train()
    before = copy.deepcopy(network.state_dict())
    assert functional_activations(network, 32) == []
    assert network.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
