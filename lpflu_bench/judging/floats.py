"""The numbers of a floating-point type."""

import torch
from torch import Tensor

_PATTERNS = {
    torch.float16: torch.int16,
    torch.bfloat16: torch.int16,
    torch.float32: torch.int32,
    torch.float64: torch.int64,
}


def floats_of(dtype: torch.dtype) -> Tensor:
    """Return finite numbers of a type, sorted: all of a half-precision type, about 130,000 of a wider one.

    Those are two for each pattern of its first 16 bits (sign, exponent and the first bits of the significand): the
    pattern followed by zeros, and followed by random bits from a fixed seed.
    """
    heads = torch.arange(-(2**15), 2**15)
    integer = _PATTERNS[dtype]
    below = 8 * dtype.itemsize - 16
    if below:
        generator = torch.Generator().manual_seed(0)
        tails = torch.randint(2**below, (len(heads),), generator=generator)
        heads = heads << below
        heads = torch.cat([heads, heads + tails])
    values = heads.to(integer).view(dtype)
    finite = values[torch.isfinite(values)]
    return finite[finite.double().argsort()]
