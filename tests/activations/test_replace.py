import json

import pytest
import torch
from rich.console import Console
from timm.layers.activations import Swish
from torch import nn
from torchvision.ops import SqueezeExcitation

from lpflu_bench.activations.leaky import LPFLU
from lpflu_bench.activations.nonlinearities import is_main_nonlinearity
from lpflu_bench.activations.registry import UnknownActivationError, list_activations
from lpflu_bench.activations.replace import replace_activations
from lpflu_bench.errors import UserError
from lpflu_bench.networks.classifiers import build_classifier
from lpflu_bench.networks.initializers import initialize

# Network: replaced, kept gates, of the replaced in squeeze-and-excitation, slopes of the form ema.
NETWORKS = {
    "efficientnet_b0": (49, 16, 16, 27),
    "regnet_y_800mf": (57, 14, 14, 56),
    "resnet18": (17, 0, 0, 16),
    "mobilenet_v3_small": (33, 9, 9, 17),
    "mobilenet_v2": (35, 0, 0, 20),
    "mnasnet0_5": (35, 0, 0, 20),
    "shufflenet_v2_x0_5": (37, 0, 0, 35),
    "resnet8": (7, 0, 0, 6),
    "resnet20": (19, 0, 0, 18),
    "squeezenet1_1": (25, 1, 0, 0),
}


def build_unallocated(name, **settings):
    # Without memory, as initial weights don't matter here; RegNet computes its widths with tensors.
    with torch.device("cpu" if name.startswith("regnet") else "meta"):
        return build_classifier(name, 10, **settings)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_place_of_the_network_is_replaced(name):
    replaced, kept, in_squeeze_excitation, ema = NETWORKS[name]
    network = build_unallocated(name)
    report = replace_activations(network, "lpflu")

    left = [m for m in network.modules() if is_main_nonlinearity(m) and not isinstance(m, LPFLU)]
    kept_paths = [k.path for k in report.kept]
    assert [type(m).__name__ for m in left if type(m).__name__ != "PFLU"] == ["ReLU"] * kept_paths.count("classifier.2")
    modules = [network.get_submodule(p.path) for p in report.placements]
    assert len({id(m) for m in modules}) == len(modules) == replaced
    assert len(report.kept) == kept
    assert (report.left, report.coverage) == ([], 1.0)
    assert sum(p.squeeze_excitation for p in report.placements) == in_squeeze_excitation
    assert [p.slope for p in report.placements].count("ema") == ema
    assert [p.slope for p in report.placements] == [m.slope_mode for m in modules]
    assert all((p.slope == "ema") == (p.block != "feed-forward") for p in report.placements)


@pytest.mark.parametrize("name", ["mobilenet_v2", "efficientnet_b0"])
def test_a_block_without_a_skip_is_feed_forward(name):
    network = build_unallocated(name)
    report = replace_activations(network, "lpflu")
    blocks = [m for m in network.modules() if hasattr(m, "use_res_connect")]
    with_skip = {id(m) for block in blocks if block.use_res_connect for m in block.modules()}
    assert with_skip
    for placement in report.placements:
        assert (placement.block == "residual") == (id(network.get_submodule(placement.path)) in with_skip)


def test_a_block_whose_stride_was_taken_out_still_has_no_skip():
    whole = replace_activations(build_unallocated("efficientnet_b0"), "lpflu")
    kept_three = replace_activations(build_unallocated("efficientnet_b0", downsamplings=3), "lpflu")
    assert whole.counts() == kept_three.counts()


def test_dense_and_shuffle_blocks_are_named():
    dense = replace_activations(build_unallocated("densenet121"), "relu")
    assert {p.block for p in dense.placements} == {"dense", "feed-forward"}
    assert [p.path for p in dense.placements if p.block == "feed-forward"] == [
        "features.relu0",
        *(f"features.transition{stage}.relu" for stage in (1, 2, 3)),
        "relu",
    ]
    shuffle = replace_activations(build_unallocated("shufflenet_v2_x0_5"), "relu")
    assert [p.path for p in shuffle.placements if p.block != "shuffle"] == ["conv1.2", "conv5.2"]


@pytest.mark.parametrize(("ema_scope", "ema", "fixed"), [("residual", 6, 1), ("all", 7, 0), ("none", 0, 7)])
def test_where_ema_slopes_stay(ema_scope, ema, fixed):
    network = build_classifier("resnet8", 10)
    spec = {"class_path": "lpflu", "init_args": {"value": 0.03, "lower": 0.1, "upper": 0.3}}
    report = replace_activations(network, spec, ema_scope=ema_scope)
    assert report.counts()["slopes"] == {k: v for k, v in {"ema": ema, "fixed": fixed}.items() if v}
    modules = [network.get_submodule(p.path) for p in report.placements]
    assert all(m.lower == 0.1 for m in modules)
    assert all(m.slope == 0.03 for m in modules if m.slope_mode == "fixed")


def test_other_forms_of_the_slope_go_everywhere():
    for slope in ("fixed", "trainable"):
        report = replace_activations(
            build_classifier("resnet8", 10), {"class_path": "leaky_gelu", "init_args": {"slope": slope}}
        )
        assert report.counts()["slopes"] == {slope: 7}
        assert {p.new for p in report.placements} == {"Leaky"}
    assert replace_activations(build_classifier("resnet8", 10), "mish").counts()["slopes"] == {}


def test_squeeze_and_excitation_is_a_setting():
    network = build_classifier("regnet_y_800mf", 10)
    report = replace_activations(network, "lpflu", squeeze_excitation=False)
    assert report.counts() == {"replaced": 43, "kept": 28, "left": 0, "slopes": {"ema": 42, "fixed": 1}}
    assert sorted({kept.type for kept in report.kept}) == ["ReLU", "Sigmoid"]
    inner = [m for m in network.modules() if isinstance(m, SqueezeExcitation)]
    assert all(isinstance(m.activation, nn.ReLU) and isinstance(m.scale_activation, nn.Sigmoid) for m in inner)


def test_one_instance_registered_twice_becomes_two():
    shared = nn.ReLU()
    network = nn.Sequential(nn.Linear(3, 3), shared, nn.Linear(3, 3), shared, nn.Linear(3, 3))
    report = replace_activations(network, "prelu")
    assert [p.path for p in report.placements] == ["1", "3"]
    assert network[1] is not network[3]


def test_a_shared_block_stays_shared():
    block = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    network = nn.Sequential(block, block, nn.Linear(3, 3))
    report = replace_activations(network, "prelu")
    assert [p.path for p in report.placements] == ["0.1"]
    assert network[0][1] is network[1][1]


def test_a_function_can_be_replaced_again():
    network = build_classifier("resnet8", 10)
    first = replace_activations(network, "lpflu")
    second = replace_activations(network, "relu")
    assert [p.path for p in second.placements] == [p.path for p in first.placements]
    assert {(p.old, p.new) for p in second.placements} == {("LPFLU", "ReLU")}


def test_training_mode_is_kept():
    network = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3)).eval()
    replace_activations(network, "lpflu")
    assert not network[1].training


def test_other_libraries_functions_are_known_by_what_they_compute():
    network = nn.Sequential(nn.Linear(3, 3), Swish(), nn.Linear(3, 3))
    assert replace_activations(network, "relu").placements[0].old == "Swish"


def test_bad_arguments():
    with pytest.raises(UserError, match="Linear has no activation function"):
        replace_activations(nn.Linear(3, 3), "lpflu")
    with pytest.raises(UnknownActivationError, match="lpflu"):
        replace_activations(build_classifier("resnet8", 10), "lpflo")
    with pytest.raises(ValueError, match="ema_scope must be one of residual, all, none"):
        replace_activations(build_classifier("resnet8", 10), "lpflu", ema_scope="some")


def test_the_report_can_be_stored_and_shown():
    report = replace_activations(build_unallocated("mobilenet_v3_small"), "lpflu")
    summary = json.loads(json.dumps(report.summary()))
    assert (summary["replaced"], summary["kept"], summary["slopes"]) == (33, 9, {"ema": 17, "fixed": 16})
    assert summary["layers"][0] == {
        "path": "features.0.2",
        "old": "Hardswish",
        "new": "LPFLU",
        "slope": "fixed",
        "block": "feed-forward",
        "squeeze_excitation": False,
    }
    assert summary["kept_layers"][0] == {
        "path": "features.1.block.1.scale_activation",
        "type": "Hardsigmoid",
        "why": "gate",
    }
    console = Console(width=120)
    with console.capture() as captured:
        console.print(report.table())
    assert captured.get().count("LPFLU") == 33
    assert captured.get().count("gate") == 9


class DrawsWhenBuilt(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.rand(()))

    def forward(self, x):
        return self.scale * torch.relu(x)


def test_same_seed_same_initial_weights_for_every_function():
    def initial_weights(activation):
        torch.manual_seed(3)
        network = build_classifier("resnet8", 10)
        initialize(network, "xavier_uniform")
        report = replace_activations(network, activation)
        own = tuple(f"{placement.path}." for placement in report.placements)
        state = {key: value for key, value in network.state_dict().items() if not key.startswith(own)}
        assert network.eval()(torch.ones(2, 3, 8, 8)).isfinite().all(), activation
        return state

    expected = initial_weights("relu")
    assert len(list_activations()) >= 29
    for activation in [*list_activations(), "leaky_mish", DrawsWhenBuilt]:
        state = initial_weights(activation)
        assert state.keys() == expected.keys()
        assert all(torch.equal(state[key], value) for key, value in expected.items()), activation
