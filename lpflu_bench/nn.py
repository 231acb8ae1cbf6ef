"""Every activation function as a module: ``from lpflu_bench.nn import LPFLU``.

>>> import torch
>>> from lpflu_bench.nn import LPFLU, Mish, Swish
>>> network = torch.nn.Sequential(torch.nn.Linear(4, 8), LPFLU(), torch.nn.Linear(8, 8), Swish(num_parameters=8))
>>> network(torch.zeros(2, 4)).shape
torch.Size([2, 8])
>>> Mish()(torch.tensor([-1.0, 0.0, 1.0]))
tensor([-0.3034,  0.0000,  0.8651])
"""

from lpflu_bench.activations.functions.adaptive import XIELU as XIELU
from lpflu_bench.activations.functions.adaptive import AconC as AconC
from lpflu_bench.activations.functions.adaptive import BerLU as BerLU
from lpflu_bench.activations.functions.adaptive import MetaAconC as MetaAconC
from lpflu_bench.activations.functions.adaptive import Snake as Snake
from lpflu_bench.activations.functions.double_exponential import Gish as Gish
from lpflu_bench.activations.functions.double_exponential import Mish as Mish
from lpflu_bench.activations.functions.exponential import CELU as CELU
from lpflu_bench.activations.functions.exponential import ELU as ELU
from lpflu_bench.activations.functions.exponential import REU as REU
from lpflu_bench.activations.functions.exponential import SELU as SELU
from lpflu_bench.activations.functions.gated_units import GEGLU as GEGLU
from lpflu_bench.activations.functions.gated_units import ReGLU as ReGLU
from lpflu_bench.activations.functions.gated_units import SwiGLU as SwiGLU
from lpflu_bench.activations.functions.gaussian import GELU as GELU
from lpflu_bench.activations.functions.gaussian import SAU as SAU
from lpflu_bench.activations.functions.gaussian import SMU as SMU
from lpflu_bench.activations.functions.gaussian import SMU1 as SMU1
from lpflu_bench.activations.functions.logistic import Logish as Logish
from lpflu_bench.activations.functions.logistic import SiLU as SiLU
from lpflu_bench.activations.functions.logistic import Smish as Smish
from lpflu_bench.activations.functions.logistic import Swish as Swish
from lpflu_bench.activations.functions.pflu import FPFLU as FPFLU
from lpflu_bench.activations.functions.pflu import PFLU as PFLU
from lpflu_bench.activations.functions.rational import PAU as PAU
from lpflu_bench.activations.functions.rational import GroupedRational as GroupedRational
from lpflu_bench.activations.functions.recent_gates import XATLU as XATLU
from lpflu_bench.activations.functions.recent_gates import XGELU as XGELU
from lpflu_bench.activations.functions.recent_gates import GoLU as GoLU
from lpflu_bench.activations.functions.recent_gates import Phish as Phish
from lpflu_bench.activations.functions.recent_gates import Serf as Serf
from lpflu_bench.activations.functions.recent_gates import TeLU as TeLU
from lpflu_bench.activations.functions.recent_gates import XSiLU as XSiLU
from lpflu_bench.activations.functions.rectified import Hardswish as Hardswish
from lpflu_bench.activations.functions.rectified import LeakyReLU as LeakyReLU
from lpflu_bench.activations.functions.rectified import PReLU as PReLU
from lpflu_bench.activations.functions.rectified import ReLU as ReLU
from lpflu_bench.activations.functions.rectified import ReLU6 as ReLU6
from lpflu_bench.activations.functions.rectified import RReLU as RReLU
from lpflu_bench.activations.functions.rectified import SquaredReLU as SquaredReLU
from lpflu_bench.activations.functions.rectified import StarReLU as StarReLU
from lpflu_bench.activations.functions.sigmoidal import Sigmoid as Sigmoid
from lpflu_bench.activations.functions.sigmoidal import Softplus as Softplus
from lpflu_bench.activations.functions.sigmoidal import Tanh as Tanh
from lpflu_bench.activations.functions.trained_exponential import EELU as EELU
from lpflu_bench.activations.functions.trained_exponential import FELU as FELU
from lpflu_bench.activations.functions.trained_exponential import MPELU as MPELU
from lpflu_bench.activations.functions.trained_exponential import PELU as PELU
from lpflu_bench.activations.functions.trained_exponential import PTELU as PTELU
from lpflu_bench.activations.leaky import LPFLU as LPFLU
from lpflu_bench.activations.leaky import Leaky as Leaky
