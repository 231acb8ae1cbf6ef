"""SwiGLU, GEGLU and ReGLU: layers that halve a dimension."""

import pytest
import torch
from torch.nn import functional as F

from lpflu_bench.activations import list_activations
from lpflu_bench.nn import GEGLU, ReGLU, SwiGLU

UNITS = [(SwiGLU, F.silu), (GEGLU, F.gelu), (ReGLU, F.relu)]


@pytest.mark.parametrize(("unit", "function"), UNITS)
def test_the_first_half_gates_the_second(unit, function):
    x = torch.randn(2, 6, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(unit(dim=1)(x), function(x[:, :3]) * x[:, 3:])
    torch.testing.assert_close(unit()(x), function(x[..., :2]) * x[..., 2:])


@pytest.mark.parametrize(("unit", "function"), UNITS)
def test_what_cannot_be_halved_is_refused_in_one_line(unit, function):
    with pytest.raises(ValueError, match=r"dimension -1 of x must be even, got shape \[2, 3\]$"):
        unit()(torch.zeros(2, 3))
    with pytest.raises(TypeError, match="x must be a floating-point tensor"):
        unit()(torch.zeros(2, 4, dtype=torch.int64))


def test_they_are_no_drop_ins_and_not_in_the_registry():
    assert not {"swiglu", "geglu", "reglu"} & set(list_activations())
