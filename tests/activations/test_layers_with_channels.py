"""Meta-ACON and GR-KAN's grouped rational, against their formulas written out."""

import pytest
import torch

from lpflu_bench import functional
from lpflu_bench.activations import list_activations
from lpflu_bench.activations.fused import use_mode
from lpflu_bench.nn import GroupedRational, MetaAconC

X = torch.linspace(-4, 4, 2 * 6 * 4 * 4).view(2, 6, 4, 4)


def test_meta_acon_is_acon_with_each_images_beta():
    layer = MetaAconC(6, reduction=2).eval()
    with torch.no_grad():
        layer.p1.copy_(torch.linspace(0.5, 1.5, 6))
        layer.p2.copy_(torch.linspace(-0.2, 0.3, 6))
    first, _, second, _, _ = layer.make_beta
    scale = (1 + 1e-5) ** -0.5  # a new batch normalisation in evaluation
    hidden = scale * (X.mean((2, 3)) @ first.weight[:, :, 0, 0].T + first.bias)
    beta = torch.sigmoid(scale * (hidden @ second.weight[:, :, 0, 0].T + second.bias))
    for image in range(2):
        for channel in range(6):
            p1, p2 = layer.p1[channel], layer.p2[channel]
            difference = (p1 - p2) * X[image, channel]
            expected = difference * torch.sigmoid(beta[image, channel] * difference) + p2 * X[image, channel]
            torch.testing.assert_close(layer(X)[image, channel], expected)


def test_meta_acon_trains_everything_it_has():
    layer = MetaAconC(6)
    layer(X).square().sum().backward()
    assert layer.make_beta[0].weight.shape[0] == 16
    assert all(parameter.grad is not None for parameter in layer.parameters())
    assert layer.half()(X.half()).dtype is torch.float16


@pytest.mark.parametrize("mode", ["eager", "fused"])
def test_grouped_rational_is_a_rational_for_each_group(mode):
    layer = GroupedRational(num_groups=3)
    with torch.no_grad():
        layer.denominators += torch.arange(3).view(3, 1) / 10
    with use_mode(mode):
        y = layer(X)
    for channel in range(6):
        x, b = X[:, channel], layer.denominators[channel // 2].abs()
        numerator = sum(a * x**k for k, a in enumerate(layer.numerator))
        denominator = 1 + sum(each * x.abs() ** (k + 1) for k, each in enumerate(b))
        torch.testing.assert_close(y[:, channel], numerator / denominator)
    y.square().sum().backward()
    assert layer.numerator.grad.shape == (6,)
    assert (layer.denominators.grad != 0).all()


def test_grouped_rational_starts_as_what_it_says():
    x = torch.linspace(-3, 3, 101).view(1, 1, -1).expand(2, 8, -1)
    assert (GroupedRational()(x) - functional.silu(x)).abs().max() < 2e-3
    torch.testing.assert_close(GroupedRational(start="identity")(x), x)
    torch.testing.assert_close(GroupedRational(4, dim=-1)(x.transpose(1, 2)), GroupedRational(4)(x).transpose(1, 2))


def test_what_does_not_fit_is_refused_in_one_line():
    with pytest.raises(ValueError, match=r"num_groups 4 must divide dimension 1 of x, got shape \[2, 6, 4, 4\]$"):
        GroupedRational(4)(X)
    with pytest.raises(ValueError, match=r"x must have shape \[B, 5, H, W\], got \[2, 6, 4, 4\]$"):
        MetaAconC(5)(X)
    for build, message in [
        (lambda: GroupedRational(0), "num_groups must be at least 1"),
        (lambda: GroupedRational(start="relu"), "start must be one of swish, identity"),
        (lambda: MetaAconC(0), "num_parameters must be at least 1"),
    ]:
        with pytest.raises(ValueError, match=message):
            build()
    for layer in (GroupedRational(), MetaAconC(6)):
        with pytest.raises(TypeError, match=r"x must be a floating-point tensor, got torch\.int64"):
            layer(torch.zeros(2, 6, 4, 4, dtype=torch.int64))
    assert not {"metaaconc", "groupedrational"} & set(list_activations())
