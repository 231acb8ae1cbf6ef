"""The slope's three forms: what a forward reads, what a step draws, what the average holds."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lpflu_bench import LPFLU, Leaky, advance_slopes, create_activation, functional
from lpflu_bench.activations.leaky import draw_slopes, ema_layers, update_slope_averages
from lpflu_bench.nn import PFLU
from lpflu_bench.seeding import derive_seed

X = torch.linspace(-5, 5, 41)


def mixed(smooth: Tensor, a: float, x: Tensor = X) -> Tensor:
    return (1 - a) * smooth + a * x


def network(count: int = 5, **settings) -> nn.Sequential:
    return nn.Sequential(*(nn.Sequential(nn.Identity(), LPFLU(**settings)) for _ in range(count)))


def drawn(module: nn.Module) -> list[float]:
    return [layer.slope.item() for layer in ema_layers(module)]


def averages(module: nn.Module) -> list[float]:
    return [layer.slope_average.item() for layer in ema_layers(module)]


@pytest.mark.parametrize("name", ["pflu", "fpflu", "gelu", "silu", "swish", "mish", "logish", "smish", "gish", "reu"])
def test_is_the_combination_of_the_smooth_function_and_the_identity(name):
    smooth = create_activation(name)(X)
    torch.testing.assert_close(Leaky(name, slope="fixed", value=0.3)(X), mixed(smooth, 0.3))
    torch.testing.assert_close(create_activation(f"leaky_{name}", slope="fixed", value=0.3)(X), mixed(smooth, 0.3))


def test_lpflu_is_leaky_pflu_and_agrees_with_the_authors_formula():
    for a in (0.0, 0.01, 0.1):
        authors = X / 2 * ((1 + a) + (1 - a) * X / torch.sqrt(1 + X**2))
        for module in (
            LPFLU("fixed", a),
            Leaky("pflu", "fixed", a),
            create_activation("lpflu", slope="fixed", value=a),
        ):
            torch.testing.assert_close(module(X), authors)
    assert isinstance(create_activation("lpflu"), LPFLU)


@pytest.mark.parametrize(
    "smooth", ["gelu", nn.GELU, nn.GELU(), nn.functional.gelu], ids=["name", "class", "module", "function"]
)
def test_smooth_function_in_any_form(smooth):
    torch.testing.assert_close(Leaky(smooth, "fixed", 0.2)(X), mixed(nn.functional.gelu(X), 0.2))


def test_settings_of_the_smooth_function_train_with_it():
    module = Leaky("swish", "trainable")
    module(X).sum().backward()
    assert {name for name, _ in module.named_parameters()} == {"slope", "smooth.beta"}
    assert all(p.grad is not None for p in module.parameters())


def test_fixed_slope_is_the_same_in_both_modes_and_no_state():
    module = LPFLU("fixed", 0.05)
    assert not module.state_dict()
    assert torch.equal(module.train()(X), module.eval()(X))


def test_trainable_slope():
    module = LPFLU("trainable", 0.02)
    assert module.slope.shape == (1,)
    assert module.slope.dtype is torch.float32
    module(X).sum().backward()
    torch.testing.assert_close(module.slope.grad, (X - functional.pflu(X)).sum().view(1))
    assert torch.equal(module.train()(X), module.eval()(X))


def test_without_a_draw_ema_is_the_middle_of_the_interval():
    module = LPFLU(lower=0.1, upper=0.3)
    expected = mixed(functional.pflu(X), 0.2)
    torch.testing.assert_close(module.train()(X), expected)
    torch.testing.assert_close(module.eval()(X), expected)


def test_training_reads_the_draw_and_evaluation_the_average():
    module = LPFLU(upper=0.9)
    advance_slopes(module, seed=0, step=0)
    slope, average = module.slope.item(), module.slope_average.item()
    assert slope != average
    torch.testing.assert_close(module.train()(X), mixed(functional.pflu(X), slope))
    torch.testing.assert_close(module.eval()(X), mixed(functional.pflu(X), average))


def test_forward_writes_nothing():
    module = LPFLU()
    before = copy.deepcopy(module.state_dict())
    for training in (True, False):
        module.train(training)(X.clone().requires_grad_()).sum().backward()
    torch.testing.assert_close(dict(module.state_dict()), dict(before), rtol=0, atol=0)


def test_draws_are_reproducible_from_seed_and_step_alone():
    first, second = network(), network()
    draw_slopes(first, seed=3, step=7)
    for step in range(8):
        draw_slopes(second, seed=3, step=step)
    assert drawn(first) == drawn(second)
    torch.manual_seed(123)
    draw_slopes(first, seed=3, step=7)
    assert drawn(first) == drawn(second)
    for seed, step in ((4, 7), (3, 8)):
        draw_slopes(second, seed=seed, step=step)
        assert not set(drawn(first)) & set(drawn(second))


def test_draws_are_those_of_a_new_philox_generator_for_each_step():
    module = network()
    for step in (0, 1, 10**6):
        draw_slopes(module, seed=3, step=step)
        uniform = np.random.Generator(np.random.Philox(key=derive_seed(3, "slope", step))).random(len(drawn(module)))
        bounds = np.array([(layer.lower, layer.upper) for layer in ema_layers(module)])
        wanted = bounds[:, 0] + (bounds[:, 1] - bounds[:, 0]) * uniform
        assert drawn(module) == wanted.astype(np.float32).tolist()


def test_layers_found_before_save_the_search():
    first, second = network(), network()
    layers = ema_layers(second)
    for step in range(3):
        advance_slopes(first, seed=0, step=step)
        advance_slopes(layers, seed=0, step=step)
    assert drawn(first) == drawn(second)
    assert averages(first) == averages(second)


def test_drawing_leaves_torchs_generator_alone():
    before = torch.get_rng_state()
    draw_slopes(network(), seed=0, step=0)
    assert torch.equal(torch.get_rng_state(), before)


def test_layers_and_steps_draw_uniformly_and_independently():
    module = network(4, lower=0.1, upper=0.5)
    values = []
    for step in range(2000):
        draw_slopes(module, seed=0, step=step)
        values.append(drawn(module))
    table = torch.tensor(values)
    assert table.min() >= 0.1
    assert table.max() <= 0.5
    assert table.mean(0).tolist() == pytest.approx([0.3] * 4, abs=0.01)
    assert table.std(0).tolist() == pytest.approx([0.4 / math.sqrt(12)] * 4, abs=0.005)
    correlation = torch.corrcoef(table.T) - torch.eye(4)
    assert correlation.abs().max() < 0.08
    assert torch.corrcoef(torch.stack([table[1:, 0], table[:-1, 0]]))[0, 1].abs() < 0.08


def test_each_layer_draws_from_its_own_interval():
    module = nn.Sequential(LPFLU(lower=0.0, upper=0.1), LPFLU(lower=0.5, upper=0.6), LPFLU("fixed", 0.7))
    draw_slopes(module, seed=0, step=0)
    assert 0 <= module[0].slope <= 0.1
    assert 0.5 <= module[1].slope <= 0.6
    assert module[2].slope == 0.7


def test_a_shared_layer_draws_once():
    layer = LPFLU()
    assert len(ema_layers(nn.Sequential(layer, layer, LPFLU("trainable")))) == 1


def test_average_gives_the_new_draw_its_weight():
    module = nn.Sequential(LPFLU(new_sample_weight=0.25), LPFLU(new_sample_weight=0.5), LPFLU(new_sample_weight=1.0))
    expected = [0.01] * 3
    for step in range(5):
        draw_slopes(module, seed=0, step=step)
        update_slope_averages(module)
        expected = [
            (1 - w) * old + w * new for w, old, new in zip((0.25, 0.5, 1.0), expected, drawn(module), strict=True)
        ]
        assert averages(module) == pytest.approx(expected, rel=1e-5)


def test_advance_is_a_draw_and_an_update():
    first, second = network(), network()
    for step in range(3):
        advance_slopes(first, seed=1, step=step)
        draw_slopes(second, seed=1, step=step)
        update_slope_averages(second)
    assert drawn(first) == drawn(second)
    assert averages(first) == averages(second)


def test_average_stays_near_the_middle_at_the_authors_weight():
    module = LPFLU()
    for step in range(3000):
        advance_slopes(module, seed=0, step=step)
    assert module.slope_average.item() == pytest.approx(0.01, abs=5 * 1.4e-4)
    assert module.slope_average.item() != 0.01


@pytest.mark.parametrize(
    "convert", [nn.Module.half, nn.Module.bfloat16, nn.Module.double, lambda m: m.to(torch.float16)]
)
def test_buffers_stay_float32(convert):
    module = network(2)
    advance_slopes(module, seed=0, step=0)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    convert(module)
    torch.testing.assert_close(dict(module.state_dict()), before, rtol=0, atol=0)
    advance_slopes(module, seed=0, step=1)
    assert module(X.half()).dtype is torch.float16
    assert "slope" in dict(module[0][1].named_buffers())


def test_buffers_follow_the_device():
    module = LPFLU().to("meta")
    assert module.slope.is_meta
    assert module.slope_average.is_meta


def test_smooth_functions_parameters_stay_float32_with_the_slope():
    module = Leaky("swish").half()
    assert module.smooth.beta.dtype is torch.float32
    assert module(X.half()).dtype is torch.float16
    assert Leaky(nn.PReLU()).half()(X.half()).dtype is torch.float16


def test_half_precision_mixes_in_float32():
    module = Leaky("gelu", "fixed", 0.01)
    torch.testing.assert_close(module(X.half()), module(X.half().float()).half(), rtol=0, atol=0)


def test_state_moves_to_another_network():
    first, second = network(), network()
    for step in range(3):
        advance_slopes(first, seed=1, step=step)
    second.load_state_dict(first.state_dict())
    assert averages(first) == averages(second)
    advance_slopes(first, seed=1, step=3)
    advance_slopes(second, seed=1, step=3)
    assert averages(first) == averages(second)


def test_accumulated_gradients_see_one_slope():
    module = LPFLU(upper=0.9)
    advance_slopes(module, seed=0, step=0)
    outputs = [module(X) for _ in range(3)]
    assert torch.equal(outputs[0], outputs[2])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"slope": "random"}, "slope must be one of ema, fixed, trainable, got 'random'"),
        ({"value": 1.0}, r"value must be in \[0, 1\)"),
        ({"value": -0.1}, r"value must be in \[0, 1\)"),
        ({"lower": -0.1}, r"lower must be in \[0, 1\)"),
        ({"lower": 0.02, "upper": 0.02}, r"upper must be in \(lower, 1\), got 0.02 with lower 0.02"),
        ({"upper": 1.0}, r"upper must be in \(lower, 1\)"),
        ({"lower": math.nan}, "lower"),
        ({"new_sample_weight": 0.0}, r"new_sample_weight must be in \(0, 1\]"),
        ({"new_sample_weight": 1.5}, "new_sample_weight"),
    ],
)
def test_bad_settings_name_the_argument(settings, message):
    for build in (lambda: LPFLU(**settings), lambda: Leaky("gelu", **settings)):
        with pytest.raises(ValueError, match=message) as error:
            build()
        assert "\n" not in str(error.value)


def test_pflu_goes_through_its_own_formula(monkeypatch):
    def refuse(*_):
        raise AssertionError

    monkeypatch.setattr(PFLU, "forward", refuse)
    LPFLU()(X)


def test_shows_its_slope():
    assert "slope='ema', lower=0, upper=0.02, new_sample_weight=0.00125" in repr(LPFLU())
    assert "slope='fixed', value=0.01" in repr(Leaky("gelu", "fixed"))
