import pytest
import torch
from torch import nn

from lpflu_bench.activations.replace import replace_activations
from lpflu_bench.activations.swap.inputs import image
from lpflu_bench.activations.swap.run import run_without_trace
from lpflu_bench.errors import UserError
from lpflu_bench.networks.classifiers import build_classifier, check_classifier, classifier_name, list_classifiers
from lpflu_bench.networks.image_sizes import check_image_size
from lpflu_bench.networks.strides import keep_last_downsamplings


class TwoInputs(nn.Module):
    def forward(self, images, mask):
        return images * mask


class Wide(nn.Sequential):
    def __init__(self, width):
        super().__init__(nn.Conv2d(3, width, 3))


class Gray(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(1, 4, 3, 2), nn.Flatten(), nn.LazyLinear(10))


def feature_sizes(network, image_size):
    """Sides of the feature maps [B, C, H, W] that modules pass on, from the image to the head, without pooling to 1."""
    sizes = []

    def record(module, inputs, output):
        if isinstance(output, torch.Tensor) and output.ndim == 4 and isinstance(module, (nn.Conv2d, nn.MaxPool2d)):
            sizes.append(output.shape[-1])

    handles = [module.register_forward_hook(record) for module in network.modules()]
    run_without_trace(network, image(image_size))
    for handle in handles:
        handle.remove()
    return [size for size in sizes if size > 1]


@pytest.mark.parametrize(
    "name",
    [
        "densenet121",
        "efficientnet_b0",
        "efficientnet_b2",
        "efficientnet_b4",
        "mobilenet_v2",
        "mobilenet_v3_small",
        "regnet_y_800mf",
        "resnet18",
        "shufflenet_v2_x0_5",
    ],
)
def test_three_downsamplings_turn_32_into_4(name):
    with torch.device("cpu" if name.startswith("regnet") else "meta"):  # sizes need no weights
        network = build_classifier(name, 7, downsamplings=3)
    sizes = feature_sizes(network, 32)
    assert sizes[0] == 32
    assert sizes[-1] == 4
    assert sorted(set(sizes), reverse=True) == [32, 16, 8, 4]
    assert run_without_trace(network, image(32)).shape == (2, 7)


def test_all_downsamplings_are_kept_by_default():
    assert feature_sizes(build_classifier("regnet_y_800mf", 7), 64)[-1] == 2


def test_strides_go_from_the_earliest_and_from_both_branches():
    network = build_classifier("regnet_y_800mf", 7, downsamplings=3)
    strided = [name for name, m in network.named_modules() if isinstance(m, nn.Conv2d) and m.stride != (1, 1)]
    stages = ("block2.block2-0", "block3.block3-0", "block4.block4-0")
    assert strided == [f"trunk_output.{stage}.{branch}.0" for stage in stages for branch in ("proj", "f.b")]


def test_pooling_that_only_made_things_smaller_is_taken_out():
    network = build_classifier("resnet18", 7, downsamplings=3)
    assert isinstance(network.maxpool, nn.Identity)
    assert network.conv1.stride == (1, 1)
    assert network.layer2[0].downsample[0].stride == (2, 2)


def test_a_downsampling_that_is_no_module_is_not_silently_kept():
    class PoolsInForward(nn.Sequential):
        def forward(self, x):
            return self[1](nn.functional.max_pool2d(self[0](x), 2))

    network = PoolsInForward(nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 2, 1))
    with pytest.raises(UserError, match="downsamplings=1: mine still has 2 without the strides of its first 2"):
        keep_last_downsamplings(network, 1, "mine")


@pytest.mark.parametrize(("name", "blocks"), [("resnet8", 3), ("resnet20", 9)])
def test_cifar_resnets(name, blocks):
    network = build_classifier(name, 10)
    assert sum(type(m).__name__ == "BasicBlock" for m in network.modules()) == blocks
    weights = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    projections = 2
    assert len(weights) - projections == int(name.removeprefix("resnet"))  # layers as He et al. count them
    assert feature_sizes(network, 32)[-1] == 8
    assert network(torch.zeros(2, 3, 16, 16)).shape == (2, 10)


def test_resnet20_has_the_size_of_the_paper():
    parameters = sum(p.numel() for p in build_classifier("resnet20", 10).parameters())
    projections = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
    assert round((parameters - projections) / 1e6, 2) == 0.27  # He et al. 2016, Table 6


@pytest.mark.parametrize("spec", [__file__, "torch.nn", "torch.device", {"class_path": f"{__file__}:Nope"}, "timm/"])
def test_a_name_is_checked_without_building(spec):
    with pytest.raises(UserError, match=r"^model\.network: "):
        check_classifier(spec)
    check_classifier({"class_path": f"{__file__}:Gray"})


def test_torchvisions_names_are_known():
    assert {"resnet8", "resnet18", "efficientnet_b0", "regnet_y_800mf", "convnext_tiny"} <= set(list_classifiers())
    assert "fcn_resnet50" not in list_classifiers()


@pytest.mark.parametrize(
    ("name", "num_classes", "downsamplings", "message"),
    [
        ("regnet_y_800", 10, None, r"unknown network 'regnet_y_800'.*regnet_y_800mf"),
        ("???", 10, None, "unknown network"),
        ("", 10, None, "^model.network: unknown network ''; `lpflu-bench networks` lists all$"),
        ("timm/", 10, None, "^model.network: unknown network 'timm/'; `lpflu-bench networks` lists all$"),
        (__file__, 10, None, "^model.network: which class or function of it.*it defines "),
        (
            f"{__file__}:TwoInputs",
            10,
            None,
            r"forward takes \(images, mask\), but a network here gets one batch of images",
        ),
        (f"{__file__}:Gray", 10, 0, "downsamplings=0: .*Gray doesn't run on an image of 224 x 224: "),
        ("convnext_ato", 10, None, r"unknown network 'convnext_ato'.*convnext"),
        ("timm/convnext_ato", 10, None, r"unknown network .*timm/convnext_atto"),
        ("no_such_file.py:Net", 10, None, "there is no file .*no_such_file.py"),
        ("torch.relu", 10, None, "torch.relu is not an nn.Module class"),
        (
            {"class_path": "torch.nn.Linear", "init_args": {"n": 1}},
            10,
            None,
            "doesn't take these init_args: missing a required argument: 'in_features'",
        ),
        ({"path": "torch.nn.Linear"}, 10, None, "no class_path"),
        ({"class_path": "resnet_8"}, 10, None, "unknown network 'resnet_8'.*resnet8"),
        ({"class_path": "resnet18", "init_args": {"n": 1}}, 10, None, "resnet18 doesn't take these init_args: .*'n'"),
        ({"class_path": "resnet18", "init_args": {"num_classes": 3}}, 10, None, "leave num_classes out of init_args"),
        ({"class_path": "resnet18", "init_args": [3]}, 10, None, r"init_args must be a mapping .* not \[3\]"),
        (
            {"class_path": "timm/resnet18", "init_args": {"num_blocks": 1}},
            10,
            None,
            "doesn't take these init_args: .*num_",
        ),
        *(
            (
                {"class_path": f"{__file__}:Wide", "init_args": {"width": wrong}},
                10,
                None,
                "doesn't take these init_args: ",
            )
            for wrong in ("x", -4)
        ),
        ({"class_path": "resnet18", "init_args": {"weights": "DEFAULT"}}, 10, None, "leave weights out.*init_from"),
        ("resnet8", 0, None, "num_classes must be at least 1"),
        ("resnet8", 10, 3, "downsamplings=3: resnet8 has 2"),
        ("resnet8", 10, -1, "downsamplings=-1"),
        ("convnext_tiny", 10, 4, "does 2 at once; keep 3 or 5"),
        ("maxvit_t", 10, 3, "doesn't run without its first 2"),
    ],
)
def test_what_cannot_be_built_is_one_line(name, num_classes, downsamplings, message):
    with pytest.raises(UserError, match=message) as caught, torch.device("meta"):
        build_classifier(name, num_classes, downsamplings=downsamplings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_networks_with_auxiliary_heads_have_one_output(name):
    with torch.device("meta"):
        network = build_classifier(name, 5)
    assert network.training
    assert run_without_trace(network, image(96)).shape == (2, 5)


def test_timms_networks_go_by_their_name():
    with torch.device("meta"):
        network = build_classifier("timm/convnext_atto", 5)
    assert run_without_trace(network, image(32)).shape == (2, 5)
    assert type(network).__module__.startswith("timm.")


@pytest.mark.parametrize(
    ("name", "size"),
    [("timm/vit_tiny_patch16_224", "img_size"), ("vit_b_16", "image_size")],
    ids=["timm", "torchvision"],
)
def test_a_transformer_is_built_for_the_images_there_are(name, size):
    with torch.device("meta"):
        declared = build_classifier(name, 5)
        fitting = build_classifier({"class_path": name, "init_args": {size: 64}}, 5)
    with pytest.raises(
        UserError, match=r"not take images of 32 x 32 .*; it takes 224 x 224, .*img_size in timm"
    ) as caught:
        check_image_size(declared, 32, 32)
    assert "\n" not in str(caught.value)
    check_image_size(fitting, 64, 64)
    assert replace_activations(fitting, "lpflu").coverage == 1


NET = """
from torch import nn
class Net(nn.Sequential):
    def __init__(self, num_classes, width=4):
        layers = nn.Conv2d(3, width, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, num_classes)
        super().__init__(*layers)
"""


def test_a_class_of_the_users_own(tmp_path):
    file = tmp_path / "my_net.py"
    file.write_text(NET)
    spec = {"class_path": f"{file}:Net", "init_args": {"width": 6}}
    network = build_classifier(spec, 5)
    assert (network[0].out_channels, network[4].out_features) == (6, 5)
    assert build_classifier(f"{file}:Net", 5)[0].out_channels == 4
    assert classifier_name(spec) == classifier_name(f"{file}:Net") == "Net"
