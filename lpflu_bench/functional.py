"""Every activation function as a function of a tensor: ``from lpflu_bench.functional import pflu``.

A parameter is a number, a tensor with one element, or a vector with one value for each channel (dimension 1 of x).

>>> import torch
>>> from lpflu_bench.functional import lpflu, pflu, prelu
>>> pflu(torch.tensor([-1.0, 0.0, 1.0]))
tensor([-0.1464,  0.0000,  0.8536])
>>> lpflu(torch.tensor([-100.0, 100.0]), a=0.01)
tensor([-1.0025, 99.9975])
>>> prelu(torch.full((1, 2, 1, 1), -1.0), torch.tensor([0.25, 0.5])).flatten()
tensor([-0.2500, -0.5000])
"""

from lpflu_bench.activations.functions.adaptive import acon_c as acon_c
from lpflu_bench.activations.functions.adaptive import berlu as berlu
from lpflu_bench.activations.functions.adaptive import snake as snake
from lpflu_bench.activations.functions.adaptive import xielu as xielu
from lpflu_bench.activations.functions.double_exponential import gish as gish
from lpflu_bench.activations.functions.double_exponential import mish as mish
from lpflu_bench.activations.functions.exponential import celu as celu
from lpflu_bench.activations.functions.exponential import elu as elu
from lpflu_bench.activations.functions.exponential import reu as reu
from lpflu_bench.activations.functions.exponential import selu as selu
from lpflu_bench.activations.functions.gaussian import gelu as gelu
from lpflu_bench.activations.functions.gaussian import sau as sau
from lpflu_bench.activations.functions.gaussian import smu as smu
from lpflu_bench.activations.functions.gaussian import smu1 as smu1
from lpflu_bench.activations.functions.logistic import logish as logish
from lpflu_bench.activations.functions.logistic import silu as silu
from lpflu_bench.activations.functions.logistic import smish as smish
from lpflu_bench.activations.functions.logistic import swish as swish
from lpflu_bench.activations.functions.pflu import fpflu as fpflu
from lpflu_bench.activations.functions.pflu import lpflu as lpflu
from lpflu_bench.activations.functions.pflu import pflu as pflu
from lpflu_bench.activations.functions.rational import pau as pau
from lpflu_bench.activations.functions.recent_gates import golu as golu
from lpflu_bench.activations.functions.recent_gates import phish as phish
from lpflu_bench.activations.functions.recent_gates import serf as serf
from lpflu_bench.activations.functions.recent_gates import telu as telu
from lpflu_bench.activations.functions.recent_gates import xatlu as xatlu
from lpflu_bench.activations.functions.recent_gates import xgelu as xgelu
from lpflu_bench.activations.functions.recent_gates import xsilu as xsilu
from lpflu_bench.activations.functions.rectified import hardswish as hardswish
from lpflu_bench.activations.functions.rectified import leaky_relu as leaky_relu
from lpflu_bench.activations.functions.rectified import prelu as prelu
from lpflu_bench.activations.functions.rectified import relu as relu
from lpflu_bench.activations.functions.rectified import relu6 as relu6
from lpflu_bench.activations.functions.rectified import rrelu as rrelu
from lpflu_bench.activations.functions.rectified import squared_relu as squared_relu
from lpflu_bench.activations.functions.rectified import star_relu as star_relu
from lpflu_bench.activations.functions.sigmoidal import sigmoid as sigmoid
from lpflu_bench.activations.functions.sigmoidal import softplus as softplus
from lpflu_bench.activations.functions.sigmoidal import tanh as tanh
from lpflu_bench.activations.functions.trained_exponential import eelu as eelu
from lpflu_bench.activations.functions.trained_exponential import felu as felu
from lpflu_bench.activations.functions.trained_exponential import mpelu as mpelu
from lpflu_bench.activations.functions.trained_exponential import pelu as pelu
from lpflu_bench.activations.functions.trained_exponential import ptelu as ptelu
