"""Functions with one fault each, and good ones."""

import os
import time

import torch
from torch import nn

KEPT = []


class Bent(nn.Module):
    def forward(self, x):
        return torch.where(x > 0, x, x / (1 + x.abs()) ** 2)


class RenamedReLU(nn.Module):
    def forward(self, x):
        return torch.relu(x)


class Overflows(nn.Module):
    def forward(self, x):
        return x * torch.exp(x) / (1 + torch.exp(x))


class NotANumberAtZero(nn.Module):
    def forward(self, x):
        return x * x / x


class Doubles(nn.Module):
    def forward(self, x):
        return torch.cat([x, -x], 1)


class WritesOver(nn.Module):
    def forward(self, x):
        with torch.no_grad():
            x.clamp_(min=0)
        return x * 1


class WrongGradient(nn.Module):
    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, gradient):
            return gradient

    def forward(self, x):
        return self.Function.apply(x)


class Leaks(nn.Module):
    def forward(self, x):
        KEPT.append(x.detach().clone())
        return torch.relu(x)


class Centred(nn.Module):
    def forward(self, x):
        return x - 1e-3 * x.mean((2, 3), keepdim=True)


class Fails(nn.Module):
    def forward(self, x):
        raise RuntimeError("not written yet")


class FailsInHalf(nn.Module):
    def forward(self, x):
        if x.dtype == torch.float16:
            os.abort()
        return torch.relu(x)


class Hangs(nn.Module):
    def forward(self, x):
        if torch.is_autocast_enabled("cpu"):
            time.sleep(600)
        return torch.relu(x)


class NeedsAnArgument(nn.Module):
    def __init__(self, power):
        super().__init__()
        self.power = power


class NotAModule:
    pass


def swish(x):
    return x * torch.sigmoid(x)
