"""timm finds the functions by name."""

import pytest

from lpflu_bench import register_with_timm
from lpflu_bench.nn import LPFLU, SiLU

timm = pytest.importorskip("timm")


@pytest.fixture(autouse=True)
def _timms_own_table(monkeypatch):
    from timm.layers import create_act

    own = {name: layer for name, layer in create_act._ACT_LAYER_DEFAULT.items() if isinstance(layer, type)}
    monkeypatch.setattr(create_act, "_ACT_LAYER_DEFAULT", own)
    monkeypatch.setattr(create_act, "_ACT_LAYERS", (create_act._ACT_LAYER_ME, own))


def test_timm_learns_the_names_it_does_not_have():
    learned = register_with_timm()
    assert {"lpflu", "pflu", "leaky_gelu"} <= set(learned)
    assert "silu" not in learned
    assert register_with_timm() == []
    assert isinstance(timm.layers.create_act_layer("lpflu", inplace=True), LPFLU)
    assert not isinstance(timm.layers.create_act_layer("silu"), SiLU)


def test_a_timm_network_is_built_with_it():
    register_with_timm()
    network = timm.create_model("resnet10t", act_layer="lpflu", num_classes=2)
    assert sum(isinstance(module, LPFLU) for module in network.modules()) > 5
