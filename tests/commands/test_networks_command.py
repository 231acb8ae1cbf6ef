import pytest

from lpflu_bench.cli import main


@pytest.mark.parametrize(
    ("arguments", "shown", "hidden"),
    [
        (
            [],
            ["regnet_y_800mf", "resnet20", "timm/NAME", "deeplabv3plus", "vgg13_bn", "retinanet_resnet50_fpn"],
            ["timm/vit"],
        ),
        (["timm/*vit_tiny*"], ["timm/vit_tiny_patch16_224"], ["vgg13_bn", "detection"]),
    ],
)
def test_names_are_listed(arguments, shown, hidden, capsys):
    assert main(["networks", *arguments]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in shown)
    assert not any(name in out for name in hidden)


def test_no_match_is_one_line(capsys):
    assert main(["networks", "no_such"]) == 2
    assert capsys.readouterr().err.startswith("lpflu-bench: error: no network matches 'no_such'")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([""], "no network matches ''; `lpflu-bench networks` lists them"),
        (["--verify", "lpflu"], "which network? lpflu-bench networks NAME --verify lpflu"),
        (["resnet8", "--verify", "torch.device"], "--verify: activation device is not an nn.Module class"),
    ],
)
def test_what_it_lacks_is_one_line(arguments, line, capsys):
    assert main(["networks", *arguments]) == 2
    assert capsys.readouterr().err == f"lpflu-bench: error: {line}\n"


def test_a_swap_is_proved_on_request(capsys):
    assert main(["networks", "resnet8", "--verify", "lpflu"]) == 0
    out = capsys.readouterr().out
    assert "resnet8: bitwise equal outputs with the original functions at 7 places, each called once" in out
    assert out.count("LPFLU") == 7
