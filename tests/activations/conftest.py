"""Every test starts as a process does: small tensors compile nothing, whatever ran before."""

import pytest

from lpflu_bench.activations import fused


@pytest.fixture(autouse=True)
def _fresh_process(monkeypatch):
    monkeypatch.setattr(fused, "_small_calls", 0)
    monkeypatch.setattr(fused, "_small_kernels", None)
