import pytest
import torch
from safetensors.torch import save_file

from lpflu_bench.activations.replace import replace_activations
from lpflu_bench.errors import UserError
from lpflu_bench.networks.classifiers import build_classifier
from lpflu_bench.networks.starting_weights import load_starting_weights

TRAINABLE = {"class_path": "lpflu", "init_args": {"slope": "trainable", "value": 0.1}}


def network_of(classes=4, activation=None, seed=0):
    torch.manual_seed(seed)
    network = build_classifier("resnet8", classes)
    report = replace_activations(network, activation or "relu")
    return network, [placement.path for placement in report.placements]


@pytest.mark.parametrize("suffix", [".pt", ".safetensors", ".ckpt"])
def test_weights_of_any_function_start_a_network_with_another(tmp_path, suffix):
    trained, _ = network_of(seed=1)
    state = trained.state_dict()
    file = tmp_path / f"weights{suffix}"
    if suffix == ".safetensors":
        save_file(state, file)
    else:
        wrapped = {"state_dict": {f"network.{key}": value for key, value in state.items()}}
        torch.save(wrapped if suffix == ".ckpt" else state, file)
    swapped, paths = network_of(activation=TRAINABLE)
    assert load_starting_weights(swapped, str(file), paths) == []
    assert torch.equal(swapped.conv1.weight, trained.conv1.weight)
    assert swapped.relu.slope.item() == pytest.approx(0.1)

    torch.save(swapped.state_dict(), tmp_path / "swapped.pt")
    back, paths = network_of()
    load_starting_weights(back, str(tmp_path / "swapped.pt"), paths)
    assert torch.equal(back.fc.weight, trained.fc.weight)


def test_another_number_of_classes_starts_the_last_layer_anew(tmp_path):
    trained, _ = network_of(classes=10, seed=1)
    torch.save(trained.state_dict(), tmp_path / "ten.pt")
    network, paths = network_of(classes=3)
    before = network.fc.weight.clone()
    assert load_starting_weights(network, str(tmp_path / "ten.pt"), paths) == ["fc.weight", "fc.bias"]
    assert torch.equal(network.fc.weight, before)
    assert torch.equal(network.layer3[0].conv1.weight, trained.layer3[0].conv1.weight)


STATE = {"conv1.weight": torch.zeros(2)}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.pt", None, r"there is no file '.*x\.pt'; names begin with timm/ or torchvision/"),
        (
            "x.pt",
            STATE,
            r"missing: bn1\.weight.* and \d+ more; of another shape: conv1\.weight is \[2\].*same init_args$",
        ),
        ("x.pt", {"other": torch.zeros(2)}, r"not in the network: other"),
        ("x.pt", {"module.conv1.weight": torch.zeros(2)}, r"its names begin with 'module\.', the network's do not"),
        ("x.pt", {"epoch": 3}, r"holds no state dict .*; save network\.state_dict\(\) in it"),
        ("x.pt", {}, "holds no state dict"),
        ("x.pt", [1], "holds no state dict"),
        ("x.pt", {"model": STATE, "epoch": 3}, "holds no state dict .*, but its entry 'model' is one"),
        ("x.pt", torch.nn.ReLU(), "can't be read as weights: it holds other objects than tensors"),
        ("x.pt", b"no weights", "can't be read as weights: it is no file of torch.save"),
        ("x.pt", b"", "can't be read as weights: it is no file of torch.save"),
        ("x.pt", b"PK no end", "can't be read as weights: it is truncated"),
        ("x.safetensors", b"no weights", "can't be read as weights: it is truncated or not in the format of its name"),
        (
            "x.ckpt",
            {"state_dict": {"model.fc.weight": torch.zeros(2)}},
            r"no checkpoint of this suite \(no entry begins",
        ),
        ("x.ckpt", STATE, "no checkpoint of this suite"),
        ("x.ckpt", [1], "no checkpoint of this suite"),
    ],
)
def test_weights_that_do_not_fit_are_one_line(tmp_path, name, content, message):
    file = tmp_path / name
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        torch.save(content, file)
    with pytest.raises(UserError, match=rf"^model\.init_from: .*{message}") as caught:
        load_starting_weights(network_of()[0], str(file))
    assert "\n" not in str(caught.value)


def test_weights_that_are_not_finite_are_refused(tmp_path):
    network = network_of()[0]
    with torch.no_grad():
        network.fc.bias[1] = float("nan")
    torch.save(network.state_dict(), tmp_path / "diverged.pt")
    with pytest.raises(UserError, match=r"diverged\.pt has values in fc\.bias that are not finite"):
        load_starting_weights(network_of()[0], str(tmp_path / "diverged.pt"))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("timm/resnet18.no_such_tag", r"timm has no pretrained weights 'resnet18\.no_such_tag'"),
        ("torchvision/ResNet18_Weights.NONE", r"torchvision has no weights 'ResNet18_.*; the nearest are ResNet18_W"),
        ("torchvision/ResNet8_Weights.DEFAULT", r"torchvision has no weights 'ResNet8_.*; the nearest are ResNe"),
        ("torchvision/", "torchvision has no weights ''$"),
    ],
)
def test_unknown_pretrained_names_are_one_line(source, message):
    with pytest.raises(UserError, match=message):
        load_starting_weights(network_of()[0], source)


def test_a_download_without_network_is_one_line(monkeypatch):
    def offline(*_, **__):
        raise OSError("Network is unreachable")

    monkeypatch.setattr("timm.create_model", offline)
    with pytest.raises(UserError, match=r"timm/resnet18\.a1_in1k couldn't be downloaded: Network is unreachable"):
        load_starting_weights(network_of()[0], "timm/resnet18.a1_in1k")
