"""The speed command: what it measures, prints and writes. No measured time is tested."""

import pandas as pd
import pytest
import torch
from torch import nn

from lpflu_bench.activations import fused
from lpflu_bench.cli import main
from lpflu_bench.errors import UserError
from lpflu_bench.speed import output, pointwise
from lpflu_bench.speed.memory import bytes_kept, peak_bytes
from lpflu_bench.speed.network import measure_network
from lpflu_bench.speed.timing import Spread, by_processor_time, by_wall_clock, rotate

SMALL = ["--shape", "2", "3", "4", "--repeats", "3", "--device", "cpu"]


@pytest.mark.parametrize("clock", [None, by_wall_clock, by_processor_time])
def test_rounds_rotate(clock):
    order = []
    calls = {name: lambda name=name: order.append(name) for name in "abc"}
    seconds = rotate(calls, torch.device("cpu"), repeats=4, warmups=1, clock=clock)
    assert "".join(order) == "abc" + "abc" + "bca" + "cab" + "abc"
    assert {name: len(values) for name, values in seconds.items()} == {"a": 4, "b": 4, "c": 4}
    assert all(value >= 0 for values in seconds.values() for value in values)


def test_spread():
    assert Spread.of([3.0]) == Spread(3.0, 3.0, 3.0)
    assert Spread.of([1.0, 2.0, 3.0, 4.0, 100.0]) == Spread(3.0, 2.0, 4.0)


def test_bytes_kept_counts_each_storage_once_and_no_parameter():
    x = torch.randn(10, requires_grad=True)
    weight = nn.Parameter(torch.ones(10))
    assert bytes_kept(lambda: (x * weight) * x, [weight]) == 2 * 40  # x, and the product
    assert bytes_kept(lambda: torch.relu(x)) == 40
    assert bytes_kept(lambda: x + 1) == 0


def test_peak_bytes():
    def call():
        first = torch.ones(1000)
        del first
        second = torch.ones(2000)
        return second + 1

    assert peak_bytes(call, torch.device("cpu")) == pytest.approx(16000, abs=256)


def test_measure():
    frame = pointwise.measure(["lpflu"], modes=["eager", "fused"], dtypes=["float32"], shape=(2, 3, 64), repeats=3)
    assert list(frame.columns) == list(pointwise.COLUMNS)
    assert len(frame) == 1 + 2 * 2 * 2  # the copy; ReLU and LPFLU, two modes, two passes
    assert set(frame["input_bytes"]) == {2 * 3 * 64 * 4}
    indexed = frame.set_index(["function", "mode", "pass"])
    relu = indexed.loc[("relu", "eager", "forward")]
    assert relu["ratio_to_relu"] == 1
    assert indexed.loc[("copy", "eager", "copy"), "fraction_of_copy"] == pytest.approx(1)
    assert indexed.loc[("lpflu", "fused", "forward"), "kept_bytes"] == relu["input_bytes"]
    assert indexed.loc[("lpflu", "eager", "forward"), "kept_bytes"] > 3 * relu["input_bytes"]
    both = indexed.loc[("lpflu", "fused", "forward+backward")]
    assert both["gb_per_second"] == pytest.approx(5 * relu["input_bytes"] / both["seconds_median"] / 1e9)
    assert (frame["seconds_low"] <= frame["seconds_median"]).all()
    assert (frame["passes_per_second"] * frame["seconds_median"]).sub(1).abs().max() < 1e-9
    assert fused.get_mode() == "fused"


def test_what_does_not_fit_the_memory_is_left_out(monkeypatch):
    monkeypatch.setattr(pointwise, "available_bytes", lambda device: 8 * 512)  # eight inputs
    frame = pointwise.measure(["lpflu"], modes=["eager"], dtypes=["float32"], shape=(2, 1, 64), repeats=2)
    indexed = frame.set_index(["function", "pass"])["passes_per_second"]
    assert pd.isna(indexed["lpflu", "forward+backward"])
    assert indexed["lpflu", "forward"] > 0
    assert indexed["relu", "forward+backward"] > 0
    assert "no memory" in [str(cell) for cell in output.pointwise_tables(frame)[0][1].columns[2].cells]


def test_what_cannot_be_measured():
    with pytest.raises(UserError, match="unknown dtype 'int8'; there are float32, bfloat16, float16"):
        pointwise.measure(["relu"], dtypes=["int8"], shape=(2,), repeats=1)
    with pytest.raises(UserError, match="unknown mode 'fast'"):
        pointwise.measure(["relu"], modes=["fast"], shape=(2,), repeats=1)


def test_the_command_prints_and_writes(tmp_path, capsys):
    files = ["--csv", str(tmp_path / "speed" / "cpu.csv"), "--plot", str(tmp_path / "cpu.png")]
    assert main(["speed", "--functions", "lpflu", "hard*", "--modes", "eager", "fused", *SMALL, *files]) == 0
    printed = capsys.readouterr().out
    assert "forward+backward" in printed
    assert "hardswish" in printed
    frame = pd.read_csv(tmp_path / "speed" / "cpu.csv")
    assert set(frame["function"]) == {"copy", "relu", "lpflu", "hardswish"}
    assert set(frame["dtype"]) == {"float32", "bfloat16"}
    assert set(frame["shape"]) == {"2x3x4"}
    assert (tmp_path / "cpu.png").stat().st_size > 10_000


def test_published_ratios():
    ratios = output.published_ratios()
    assert ratios.loc["lpflu", "cpu"] == pytest.approx(22.27 / 2.20)
    assert ratios.loc["lpflu", "gpu"] == pytest.approx(435.09 / 39.23)
    assert set(pointwise.PAPER_FUNCTIONS) == set(ratios.index)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--functions", "lpfu"], "lpfu"),
        (["--shape", "0", "2"], "--shape must be positive"),
        (["--repeats", "0"], "--repeats must be at least 1, not 0"),
        (["--device", "nowhere"], "--device nowhere"),
        (["--dtypes", "int8", "--shape", "2"], "unknown dtype 'int8'"),
        (["--network", "resnet8", "--shape", "2"], "--shape and --plot are for functions by themselves"),
        (["--network", "resnet8", "--modes", "quick"], "--modes: 'quick' is none of eager, fused, compiled"),
        (["--network", "resnet9"], "unknown network 'resnet9'"),
    ],
)
def test_mistakes_are_one_line(arguments, message, capsys):
    assert main(["speed", *arguments]) == 2
    printed = capsys.readouterr().err.strip()
    assert message in printed
    assert "Traceback" not in printed


def test_a_network(tmp_path, capsys):
    frame = measure_network("resnet8", ["lpflu"], batch_size=2, image_size=16, repeats=2)
    assert list(frame["function"]) == ["relu", "relu", "lpflu", "lpflu"]
    assert (frame["images_per_second"] > 0).all()
    assert (frame["peak_bytes"] > frame["kept_bytes"]).all()
    by_function = frame[frame["mode"] == "eager"].set_index("function")["kept_bytes"]
    assert by_function["lpflu"] > by_function["relu"]
    arguments = [
        "--network",
        "resnet8",
        "--functions",
        "relu",
        "--modes",
        "eager",
        "--batch-size",
        "2",
        "--repeats",
        "1",
    ]
    assert main(["speed", *arguments, "--image-size", "16", "--device", "cpu", "--csv", str(tmp_path / "n.csv")]) == 0
    assert "Training step of resnet8" in capsys.readouterr().out
    assert len(pd.read_csv(tmp_path / "n.csv")) == 1
