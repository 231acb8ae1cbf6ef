"""What there is to know about each activation function before importing torch."""

import importlib
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Entry:
    """One activation function.

    Attributes:
        name: Registry name.
        target: ``package.module:Class`` of its module.
        formula: In plain text; s is the logistic sigmoid, Phi the standard normal distribution function.
        parameters: Names and default values.
        trained: Which parameters train and their shape; empty if none does.
        source: Paper or documentation.
        train_eval: What differs between training and evaluation; empty if nothing does.
        group: "paper" if the LPFLU paper names it, "recent" if not.
        smooth_relu: Differentiable, 0 towards minus infinity and linear towards plus infinity: an S for Leaky(S).
    """

    name: str
    target: str
    formula: str
    source: str
    parameters: str = ""
    trained: str = ""
    train_eval: str = ""
    group: Literal["paper", "recent"] = "paper"
    smooth_relu: bool = False

    def load(self) -> type[Any]:
        """Import and return the module class."""
        return load(self.target)  # type: ignore[no-any-return]


def load(target: str) -> Any:
    """Import ``package.module:Class`` and return the class."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


_HERE = "lpflu_bench.activations"
_FUNCTIONS = f"{_HERE}.functions"

LEAKY = f"{_HERE}.leaky:Leaky"
"""What makes ``leaky_<name>`` of a smooth function; named here, as every module is, so that the registry imports none."""

_PER_LAYER_OR_CHANNEL = "one per layer, or per channel (num_parameters)"

ENTRIES: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry("sigmoid", f"{_FUNCTIONS}.exponential:Sigmoid", "s(x) = 1/(1 + exp(-x))", "LPFLU paper, Eq. 1"),
        Entry("tanh", f"{_FUNCTIONS}.exponential:Tanh", "tanh(x)", "LPFLU paper, Eq. 2"),
        Entry("relu", f"{_FUNCTIONS}.rectified:ReLU", "max(x, 0)", "LPFLU paper, Eq. 3"),
        Entry(
            "leaky_relu",
            f"{_FUNCTIONS}.rectified:LeakyReLU",
            "x > 0: x; else a x",
            "Maas et al. 2013; LPFLU paper, Eq. 6",
            "negative_slope=0.01",
        ),
        Entry(
            "prelu",
            f"{_FUNCTIONS}.rectified:PReLU",
            "x > 0: x; else a x",
            "He et al. 2015",
            "init=0.25, num_parameters=1",
            f"a: {_PER_LAYER_OR_CHANNEL}",
        ),
        Entry(
            "rrelu",
            f"{_FUNCTIONS}.rectified:RReLU",
            "x >= 0: x; else a x",
            "Xu et al. 2015",
            "lower=1/8, upper=1/3",
            train_eval="training: a ~ U(lower, upper) for each element; evaluation: a = (lower + upper)/2",
        ),
        Entry(
            "ptelu",
            f"{_FUNCTIONS}.exponential:PTELU",
            "x >= 0: x; else alpha tanh(beta x)",
            "Duggal and Gupta 2017",
            "alpha=1, beta=1, num_parameters=1",
            f"alpha, beta >= 0: {_PER_LAYER_OR_CHANNEL}",
        ),
        Entry(
            "elu",
            f"{_FUNCTIONS}.exponential:ELU",
            "x > 0: x; else alpha (exp(x) - 1)",
            "Clevert et al. 2016",
            "alpha=1",
        ),
        Entry(
            "selu",
            f"{_FUNCTIONS}.exponential:SELU",
            "lambda ELU(x; alpha), lambda = 1.05070, alpha = 1.67326",
            "Klambauer et al. 2017",
        ),
        Entry(
            "pelu",
            f"{_FUNCTIONS}.exponential:PELU",
            "x >= 0: (a/b) x; else a (exp(x/b) - 1)",
            "Trottier et al. 2017",
            "a=1, b=1",
            "a in [0.1, 2], b >= 0.1: one per layer",
        ),
        Entry(
            "mpelu",
            f"{_FUNCTIONS}.exponential:MPELU",
            "x > 0: x; else alpha (exp(beta x) - 1)",
            "Li et al. 2018",
            "alpha=0.25, beta=1, num_parameters=1",
            f"alpha, beta >= 0: {_PER_LAYER_OR_CHANNEL}",
        ),
        Entry(
            "felu",
            f"{_FUNCTIONS}.exponential:FELU",
            "x > 0: x; else alpha (2^(x/ln 2) - 1)",
            "Qiumei et al. 2019",
            "alpha=1, num_parameters=1",
            f"alpha: {_PER_LAYER_OR_CHANNEL}",
        ),
        Entry(
            "eelu",
            f"{_FUNCTIONS}.exponential:EELU",
            "x > 0: k x; else alpha (exp(beta x) - 1)",
            "Kim et al. 2020",
            "alpha=1, beta=1, epsilon=0.1, num_parameters=1",
            f"alpha, beta >= 0: {_PER_LAYER_OR_CHANNEL}",
            "training: k ~ N(1, sigma^2) in [0, 2] for each element, sigma ~ U(0, epsilon); evaluation: k = 1",
        ),
        Entry(
            "gelu",
            f"{_FUNCTIONS}.gaussian:GELU",
            "x Phi(x)",
            "Hendrycks and Gimpel 2016",
            'approximate="none"',
            smooth_relu=True,
        ),
        Entry(
            "swish",
            f"{_FUNCTIONS}.logistic:Swish",
            "x s(beta x)",
            "Ramachandran et al. 2017",
            "beta=1, num_parameters=1",
            f"beta: {_PER_LAYER_OR_CHANNEL}",
            smooth_relu=True,
        ),
        Entry("silu", f"{_FUNCTIONS}.logistic:SiLU", "x s(x)", "Elfwing et al. 2018", smooth_relu=True),
        Entry("hardswish", f"{_FUNCTIONS}.rectified:Hardswish", "x min(max(x + 3, 0), 6)/6", "Howard et al. 2019"),
        Entry("reu", f"{_FUNCTIONS}.exponential:REU", "x > 0: x; else x exp(x)", "Ying et al. 2019", smooth_relu=True),
        Entry(
            "mish", f"{_FUNCTIONS}.double_exponential:Mish", "x tanh(ln(1 + exp(x)))", "Misra 2020", smooth_relu=True
        ),
        Entry(
            "logish",
            f"{_FUNCTIONS}.logistic:Logish",
            "alpha x ln(1 + s(beta x))",
            "Zhu et al. 2021",
            "alpha=1, beta=1",
            smooth_relu=True,
        ),
        Entry(
            "pflu",
            f"{_FUNCTIONS}.pflu:PFLU",
            "(x/2) (1 + x/sqrt(1 + x^2))",
            "Zhu et al. 2021, Eq. 10",
            smooth_relu=True,
        ),
        Entry(
            "fpflu",
            f"{_FUNCTIONS}.pflu:FPFLU",
            "x > 0: x; else x/(1 + x^2)",
            "Zhu et al. 2021, Eq. 13",
            smooth_relu=True,
        ),
        Entry(
            "smish",
            f"{_FUNCTIONS}.logistic:Smish",
            "alpha x tanh(ln(1 + s(beta x)))",
            "Wang et al. 2022",
            "alpha=1, beta=1",
            smooth_relu=True,
        ),
        Entry(
            "gish",
            f"{_FUNCTIONS}.double_exponential:Gish",
            "x ln(2 - exp(-exp(x)))",
            "Kaytan et al. 2023",
            smooth_relu=True,
        ),
        Entry(
            "pau",
            f"{_FUNCTIONS}.rational:PAU",
            "(a0 + ... + a5 x^5)/(1 + |b1| |x| + ... + |b4| x^4)",
            "Molina et al. 2020",
            "near Leaky ReLU on [-3, 3]",
            "6 + 4 coefficients per layer",
        ),
        Entry(
            "sau",
            f"{_FUNCTIONS}.gaussian:SAU",
            "((1 - alpha)/beta) phi(beta x) + x (alpha + (1 - alpha) Phi(beta x))",
            "Biswas et al. 2021",
            "alpha=0.15, beta=20000",
            "alpha: one per layer",
        ),
        Entry(
            "smu",
            f"{_FUNCTIONS}.gaussian:SMU",
            "((1 + alpha) x + (1 - alpha) x erf(mu (1 - alpha) x))/2",
            "Biswas et al. 2022",
            "alpha=0.2, mu=1",
            "mu: one per layer",
        ),
        Entry(
            "smu1",
            f"{_FUNCTIONS}.gaussian:SMU1",
            "((1 + alpha) x + sqrt((1 - alpha)^2 x^2 + mu^2))/2",
            "Biswas et al. 2022",
            "alpha=0.01, mu=4.33e-9",
            "mu: one per layer",
        ),
        Entry(
            "lpflu",
            f"{_HERE}.leaky:LPFLU",
            "(1 - a) PFLU(x) + a x",
            "Zhu et al. 2025, Eqs. 8-11",
            'slope="ema", lower=0, upper=0.02, new_sample_weight=0.00125; value=0.01',
            'a, with slope="trainable": one per layer',
            'slope="ema": training: a ~ U(lower, upper) for each step and layer; evaluation: the average of the drawn',
        ),
        Entry("relu6", f"{_FUNCTIONS}.rectified:ReLU6", "min(max(x, 0), 6)", "Krizhevsky 2010", group="recent"),
        Entry("squared_relu", f"{_FUNCTIONS}.rectified:SquaredReLU", "max(x, 0)^2", "So et al. 2021", group="recent"),
        Entry(
            "star_relu",
            f"{_FUNCTIONS}.rectified:StarReLU",
            "s max(x, 0)^2 + b",
            "Yu et al. 2022",
            "scale=0.8944, bias=-0.4472",
            "s, b: one per layer",
            group="recent",
        ),
        Entry(
            "celu",
            f"{_FUNCTIONS}.exponential:CELU",
            "x > 0: x; else alpha (exp(x/alpha) - 1)",
            "Barron 2017",
            "alpha=1",
            group="recent",
        ),
        Entry(
            "softplus",
            f"{_FUNCTIONS}.exponential:Softplus",
            "ln(1 + exp(beta x))/beta",
            "Dugas et al. 2000",
            "beta=1, threshold=20",
            group="recent",
            smooth_relu=True,
        ),
        Entry(
            "golu",
            f"{_FUNCTIONS}.recent_gates:GoLU",
            "x exp(-exp(-x))",
            "Das et al. 2025",
            group="recent",
            smooth_relu=True,
        ),
        Entry(
            "telu",
            f"{_FUNCTIONS}.recent_gates:TeLU",
            "x tanh(exp(x))",
            "Fernandez and Mali 2024",
            group="recent",
            smooth_relu=True,
        ),
        Entry(
            "serf",
            f"{_FUNCTIONS}.recent_gates:Serf",
            "x erf(ln(1 + exp(x)))",
            "Nag et al. 2021",
            group="recent",
            smooth_relu=True,
        ),
        Entry(
            "phish",
            f"{_FUNCTIONS}.recent_gates:Phish",
            "x tanh(x Phi(x))",
            "Naveen 2022",
            group="recent",
            smooth_relu=True,
        ),
        Entry(
            "xatlu",
            f"{_FUNCTIONS}.recent_gates:XATLU",
            "x ((1 + 2 alpha)(arctan(x)/pi + 1/2) - alpha)",
            "Huang 2024",
            "alpha=0",
            "alpha: one per layer",
            group="recent",
        ),
        Entry(
            "xgelu",
            f"{_FUNCTIONS}.recent_gates:XGELU",
            "x ((1 + 2 alpha) Phi(x) - alpha)",
            "Huang 2024",
            "alpha=0",
            "alpha: one per layer",
            group="recent",
            smooth_relu=True,
        ),
        Entry(
            "xsilu",
            f"{_FUNCTIONS}.recent_gates:XSiLU",
            "x ((1 + 2 alpha) s(x) - alpha)",
            "Huang 2024",
            "alpha=0",
            "alpha: one per layer",
            group="recent",
            smooth_relu=True,
        ),
        Entry(
            "xielu",
            f"{_FUNCTIONS}.adaptive:XIELU",
            "x > 0: p x^2 + beta x; else n (exp(x) - 1 - x) + beta x",
            "Huang and Schlag 2024",
            "alpha_p=0.8, alpha_n=0.8, beta=0.5",
            "p, n: one per layer",
            group="recent",
        ),
        Entry(
            "acon_c",
            f"{_FUNCTIONS}.adaptive:AconC",
            "(p1 - p2) x s(beta (p1 - p2) x) + p2 x",
            "Ma et al. 2021",
            "p1=1, p2=0, beta=1, num_parameters=1",
            f"p1, p2, beta: {_PER_LAYER_OR_CHANNEL}",
            group="recent",
        ),
        Entry(
            "snake",
            f"{_FUNCTIONS}.adaptive:Snake",
            "x + sin^2(a x)/a",
            "Ziyin et al. 2020",
            "a=1, num_parameters=1",
            f"a: {_PER_LAYER_OR_CHANNEL}",
            group="recent",
        ),
        Entry(
            "berlu",
            f"{_FUNCTIONS}.adaptive:BerLU",
            "Leaky ReLU, a parabola in [-epsilon, epsilon]",
            "Zhang et al. 2026",
            "alpha=0.01, epsilon=1",
            group="recent",
        ),
    )
}

COMPARED = ("relu", "mish", "pflu", "smu", "gish", "lpflu")
"""The six that the LPFLU paper compares."""
