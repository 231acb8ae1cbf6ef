"""Names to modules: built in, registered, installed, class paths; and what is refused."""

import pickle
from importlib.metadata import EntryPoint

import pytest
import torch
from torch import Tensor, nn

from lpflu_bench.activations import (
    UnknownActivationError,
    create_activation,
    list_activations,
    register_activation,
    registry,
)
from lpflu_bench.activations.catalogue import ENTRIES
from lpflu_bench.activations.leaky import LPFLU, Leaky
from lpflu_bench.errors import UserError
from lpflu_bench.nn import GELU, LeakyReLU

PAPER = {
    "sigmoid",
    "tanh",
    "relu",
    "leaky_relu",
    "prelu",
    "rrelu",
    "ptelu",
    "elu",
    "selu",
    "pelu",
    "mpelu",
    "felu",
    "eelu",
    "gelu",
    "swish",
    "silu",
    "hardswish",
    "reu",
    "mish",
    "logish",
    "pflu",
    "fpflu",
    "smish",
    "gish",
    "pau",
    "sau",
    "smu",
    "smu1",
    "lpflu",
}


class Cubic(nn.Module):
    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x**3


def square(x: Tensor, factor: float = 1.0) -> Tensor:
    return factor * x * x


class NotAModule:
    pass


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})
    registry._installed.cache_clear()
    yield
    registry._installed.cache_clear()


@pytest.fixture
def install(monkeypatch):
    def points(*pairs: tuple[str, str]) -> None:
        found = [EntryPoint(name, value, registry.ENTRY_POINT_GROUP) for name, value in pairs]
        monkeypatch.setattr(
            registry, "entry_points", lambda group: found if group == registry.ENTRY_POINT_GROUP else []
        )
        registry._installed.cache_clear()

    return points


def test_the_papers_29_functions_are_there():
    assert len(PAPER) == 29
    assert {name for name, entry in ENTRIES.items() if entry.group == "paper"} == PAPER
    assert list_activations() == sorted(ENTRIES)
    assert list_activations("s*u1") == ["smu1"]


@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_built_in_functions_have_a_module_with_documentation(name):
    module = create_activation(name)
    assert isinstance(module, nn.Module)
    entry = ENTRIES[name]
    assert type(module) is entry.load()
    assert entry.formula
    assert entry.source
    assert bool(entry.trained) == bool(list(module.parameters())) or name == "lpflu"
    assert not entry.smooth_relu or not create_activation(f"leaky_{name}")(torch.tensor([-1e4])).isnan()
    if not entry.target.startswith("torch."):
        text = type(module).__doc__
        assert "Source:" in text
        assert "Limits" in text
        assert "evaluation" in text or issubclass(type(module), Leaky)


def test_functions_that_pytorch_has_run_its_kernels():
    x = torch.randn(4, requires_grad=True)
    assert type(create_activation("relu")(x).grad_fn).__name__ == "ReluBackward0"
    assert type(create_activation("silu")(x).grad_fn).__name__ == "SiluBackward0"
    y = torch.tensor([-1.0, 1.0])
    assert create_activation("relu", inplace=True)(y) is y


def test_each_call_builds_a_new_module():
    assert create_activation("swish") is not create_activation("swish")


def test_settings_reach_the_constructor():
    module = create_activation("lpflu", slope="fixed", value=0.2)
    assert (module.slope_mode, module.slope) == ("fixed", 0.2)
    assert create_activation("leaky_gelu", slope="trainable").slope.requires_grad


def test_leaky_names():
    module = create_activation("leaky_gelu")
    assert isinstance(module, Leaky)
    assert isinstance(module.smooth, GELU)
    assert type(create_activation("leaky_relu")) is LeakyReLU
    assert not isinstance(create_activation("leaky_pflu"), LPFLU)
    with pytest.raises(UnknownActivationError, match="'leaky_elu' is unknown"):
        create_activation("leaky_elu")


def test_class_paths():
    assert isinstance(create_activation("torch.nn.Softplus", beta=2.0), nn.Softplus)
    assert create_activation("torch.nn.functional.softplus", beta=2.0)(torch.zeros(1)).item() == pytest.approx(
        0.3466, abs=1e-4
    )
    assert isinstance(create_activation("lpflu_bench.nn.PFLU"), nn.Module)


def test_mappings():
    module = create_activation({"class_path": "lpflu", "init_args": {"slope": "fixed", "value": 0.1}}, value=0.2)
    assert module.slope == 0.2
    assert isinstance(create_activation({"class_path": "torch.nn.ReLU6", "init_args": None}), nn.ReLU6)
    with pytest.raises(UserError, match="no class_path"):
        create_activation({"init_args": {}})
    with pytest.raises(UserError, match="unknown keys args"):
        create_activation({"class_path": "relu", "args": {}})


def test_classes_and_functions():
    assert isinstance(create_activation(nn.ELU, alpha=0.5), nn.ELU)
    module = create_activation(square, factor=3.0)
    assert module(torch.tensor(2.0)).item() == 12
    assert "square, factor=3.0" in repr(module)
    assert pickle.loads(pickle.dumps(module))(torch.tensor(2.0)).item() == 12


@pytest.mark.parametrize("spec", [3, None, nn.ReLU()], ids=str)
def test_other_specifications_are_refused(spec):
    with pytest.raises(TypeError, match="activation must be"):
        create_activation(spec)


def test_unknown_names_get_the_nearest_ones():
    for name, near in [("lpfu", "lpflu"), ("gellu", "gelu"), ("leaky_gellu", "leaky_gelu")]:
        with pytest.raises(UnknownActivationError, match=rf"activation '{name}' is unknown; .*{near}") as error:
            create_activation(name)
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="lists all"):
        create_activation("zzzzzzzz")


def test_unknown_class_paths():
    with pytest.raises(UnknownActivationError, match="there is no module 'no_such_package'"):
        create_activation("no_such_package.Thing")
    with pytest.raises(UnknownActivationError, match=r"torch\.nn has no 'Thing'"):
        create_activation("torch.nn.Thing")
    with pytest.raises(TypeError, match="NotAModule is not an"):
        create_activation(f"{__name__}.NotAModule")


def test_a_module_that_lacks_its_own_dependency_says_so(tmp_path, monkeypatch):
    (tmp_path / "broken_activation_package.py").write_text("import surely_not_installed\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=r"No module named 'surely_not_installed' .*package\.py, line 1"):
        create_activation("broken_activation_package.Thing")


def test_errors_of_a_constructor_stay_what_they_are():
    @register_activation("failing")
    class Failing(nn.Module):
        def __init__(self):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        create_activation("failing")
    with pytest.raises(TypeError, match="no_such_setting"):
        create_activation("pflu", no_such_setting=1)


def test_registered_classes_and_functions():
    assert register_activation("cubic")(Cubic) is Cubic
    assert register_activation("square")(square) is square
    assert create_activation("cubic", factor=2.0)(torch.tensor(2.0)).item() == 16
    assert create_activation("square")(torch.tensor(3.0)).item() == 9
    assert {"cubic", "square"} <= set(list_activations())
    assert create_activation("leaky_square", slope="fixed", value=0.5)(torch.tensor(2.0)).item() == 3


def test_registering_twice():
    register_activation("cubic")(Cubic)
    for taken in ("cubic", "relu"):
        with pytest.raises(ValueError, match=f"'{taken}' is taken"):
            register_activation(taken)(Cubic)
    register_activation("relu", override=True)(Cubic)
    assert isinstance(create_activation("relu"), Cubic)
    for name in ("", "a.b"):
        with pytest.raises(ValueError, match="name must be"):
            register_activation(name)


def test_installed_packages(install):
    install(("cubic", f"{__name__}:Cubic"), ("square", f"{__name__}:square"))
    assert {"cubic", "square"} <= set(list_activations())
    assert type(create_activation("cubic", factor=2.0)).__name__ == "Cubic"
    assert create_activation("square")(torch.tensor(3.0)).item() == 9
    assert registry.describe_source("cubic") == f"of an installed package: {__name__}:Cubic"
    with pytest.raises(ValueError, match="'cubic' is taken"):
        register_activation("cubic")(Cubic)
    with pytest.raises(UnknownActivationError, match=r"nearest are cubic"):
        create_activation("cubik")


def test_an_installed_name_that_is_taken(install):
    install(("gelu", f"{__name__}:Cubic"))
    assert isinstance(create_activation("gelu"), GELU)
    with pytest.raises(UserError, match="'gelu' of test_registry:Cubic is defined by this package too"):
        list_activations()
    install(("cubic", "one:Cubic"), ("cubic", "two:Cubic"))
    with pytest.raises(UserError, match="'cubic' of two:Cubic is defined by one:Cubic too"):
        create_activation("cubic")
