"""Quotients of two polynomials with coefficients that train."""

from typing import ClassVar, Unpack

import torch
from torch import Tensor

from lpflu_bench.activations.base import Activation, Options
from lpflu_bench.activations.pointwise import pointwise


@pointwise(coefficients={"numerator": 6, "denominator": 4})
def pau(x: Tensor, numerator: Tensor, denominator: Tensor) -> Tensor:
    """PAU: P(x) / Q(x), P = a0 + ... + a5 x^5, Q = 1 + |b1| |x| + ... + |b4| x^4.

    ``numerator`` [6] and ``denominator`` [4] hold the coefficients.
    """
    a0, a1, a2, a3, a4, a5 = numerator.unbind()
    b1, b2, b3, b4 = denominator.abs().unbind()
    outside = x.abs() > 1
    # Powers of x overflow (float32: from 5e7 on), so outside [-1, 1] both are divided by x^4 and run in u = 1/x.
    t = torch.where(outside, 0.0, x)
    m = t.abs()
    inner = (((((a5 * t + a4) * t + a3) * t + a2) * t + a1) * t + a0) / ((((b4 * m + b3) * m + b2) * m + b1) * m + 1)
    far = torch.where(outside, x, 1.0)
    u = 1 / far
    v = u.abs()
    outer = (a5 * far + ((((a0 * u + a1) * u + a2) * u + a3) * u + a4)) / ((((v + b1) * v + b2) * v + b3) * v + b4)
    return torch.where(outside, outer, inner)


class PAU(Activation):
    """PAU (Padé activation unit, safe, order 5/4): P(x) / Q(x), P = a0 + ... + a5 x^5, Q = 1 + |b1| |x| + ... + |b4| x^4.

    This is the safe denominator of the authors' code. The paper is believed to print Q = 1 + |b1 x + ... + b4 x^4|
    (UNCONFIRMED); the coefficients do not fit that one. They approximate Leaky ReLU (slope 0.01) on [-3, 3] within
    0.03, and nothing outside: the slope is 0.72302 towards both infinities at the start.

    Trained: ``numerator`` [6] and ``denominator`` [4], shared by the layer. A denominator coefficient acts through its
    absolute value: one that is exactly 0 gets no gradient. The same in training and evaluation.
    Limits: slope a5/|b4| towards both infinities; f(0) = a0; derivative a1 at 0, where it has a kink.
    Source: Molina, Schramowski and Kersting, "Padé Activation Units", arXiv 1907.06732; code
    github.com/ml-research/pau.
    """

    function = pau

    NUMERATOR: ClassVar[tuple[float, ...]] = (0.02979246, 0.61837738, 2.32335207, 3.05202660, 1.48548002, 0.25103717)
    DENOMINATOR: ClassVar[tuple[float, ...]] = (1.14201226, 4.39322834, 0.87154450, 0.34720652)

    def __init__(self, **options: Unpack[Options]) -> None:
        super().__init__(**options)
        self.train_parameters(numerator=self.NUMERATOR, denominator=self.DENOMINATOR)
