"""Lightning callbacks of the suite."""

from lpflu_bench.callbacks.finite_loss import FiniteLoss
from lpflu_bench.callbacks.record import RunRecord
from lpflu_bench.callbacks.slope_ema import SlopeEMA

__all__ = ["FiniteLoss", "RunRecord", "SlopeEMA"]
