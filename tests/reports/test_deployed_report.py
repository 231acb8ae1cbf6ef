"""Deployed networks and corruption errors as a reader of the report meets them: Markdown, page, CSV."""

import csv

import pytest
from synthetic_records import grid, result_of_test, spec

from lpflu_bench.reports.analysis import analyse
from lpflu_bench.reports.deployed import deployed_section
from lpflu_bench.reports.figures import draw_all
from lpflu_bench.reports.report import write_report
from lpflu_bench.terminal import text_table


def deployment(errors, noise, milliseconds, ratio, load=0.8):
    """What deploying leaves: errors of the three forms; the latency of a batch at one thread."""
    latency = {
        "batch_size": 32,
        "threads": 1,
        "seconds": {
            "median": milliseconds / 1e3,
            "low": milliseconds / 1e3 - 0.001,
            "high": milliseconds / 1e3 + 0.001,
        },
        "ratio_to_relu": {"median": ratio},
    }
    forms = [
        {
            "form": form,
            "scores": {"top1_error": error},
            "bytes": 2_000_000,
            "nodes": None if form == "checkpoint" else 64,
            "activation_nodes": None if form == "checkpoint" else 7.0,
            "signal_to_noise": {"a": noise - 1, "b": noise, "c": noise + 5} if form == "int8" else {},
            "latencies": [latency],
        }
        for form, error in zip(("checkpoint", "onnx", "int8"), errors, strict=True)
    ]
    return {"forms": forms, "outside": "", "load": load}


@pytest.fixture
def records():
    made = grid(2, functions=["relu", "lpflu"])
    for record in made:
        trained = record["trained"]
        if trained["activation"] == "lpflu":
            drop = 0.5 + trained["seed"]  # 0.5 and 1.5 points
            record["deployed"] = deployment((20.0, 20.0, 20.0 + drop), 25.0, 12.0, 1.5)
    return made


def test_scores_kept_are_means_over_seeds_and_latencies_medians(records):
    kept, latency = deployed_section(records).tables
    assert kept.lines[0] == ["lpflu", "PyTorch", "2", "20.00", "", "2.00", "", "", ""]
    assert kept.lines[1] == ["lpflu", "ONNX", "2", "20.00", "+0.00 ± 0.00", "2.00", "64", "7", ""]
    assert kept.lines[2] == ["lpflu", "INT8", "2", "21.00", "-1.00 ± 0.71", "2.00", "64", "7", "25.0"]
    assert latency.head == ["function", "form", "threads", "batch 32, ms", "x ReLU"]
    assert latency.lines[2] == ["lpflu", "INT8", "1", "12 ± 1", "1.50"]


def test_slow_latencies_are_printed_in_full(records):
    records[-1]["deployed"] = deployment((20.0, 20.0, 20.0), 25.0, 6060.0, 1.5)
    latency = deployed_section(records[-1:]).tables[1]
    assert latency.lines[0][3] == "6060 ± 1"


def test_latencies_of_a_busy_machine_are_marked(records):
    assert "busy" not in deployed_section(records).note
    records[-1]["deployed"] = deployment((20.0, 20.0, 20.0), 25.0, 12.0, 1.5, load=3.21)
    assert "Measured on a busy machine (load 3.2 per core)" in deployed_section(records).note


def test_a_training_with_several_tests_is_deployed_once(records):
    twice = [{**record, "cell": {**record["cell"], "noise": noise}} for record in records for noise in ("none", "some")]
    assert deployed_section(twice).tables == deployed_section(records).tables


def test_where_nothing_was_deployed_there_is_no_section(records, tmp_path):
    plain = [{key: value for key, value in record.items() if key != "deployed"} for record in records]
    assert deployed_section(plain) is None
    write_report(spec(), records, tmp_path)
    assert (tmp_path / "deployed.csv").exists()
    write_report(spec(), plain, tmp_path)
    assert not (tmp_path / "deployed.csv").exists()
    assert "INT8" not in (tmp_path / "index.html").read_text()


def test_markdown_page_and_csv_have_the_table(records, tmp_path):
    write_report(spec(), records, tmp_path)
    markdown, page = ((tmp_path / name).read_text() for name in ("table.md", "index.html"))
    assert "## Accuracy kept and latency after export and INT8" in markdown
    assert "| lpflu | INT8 | 2 | 21.00 | -1.00 ± 0.71 | 2.00 | 64 | 7 | 25.0 |" in markdown
    assert '<section id="deployed"><h2>Accuracy kept and latency after export and INT8</h2>' in page
    assert "<td>-1.00 ± 0.71</td>" in page
    with (tmp_path / "deployed.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6  # two seeds, three forms, one batch size and number of threads
    assert {row["change"] for row in rows if row["form"] == "int8"} == {"-0.5", "-1.5"}


def test_in_a_terminal_no_column_is_cut(records, capsys):
    from rich.console import Console

    console = Console(width=80)
    for table in deployed_section(records).tables:
        console.print(text_table(table.title, table.head, table.lines, texts=table.texts))
    printed = capsys.readouterr().out
    assert "…" not in printed
    assert "-1.00 ± 0.71" in printed


def corrupted(records):
    """Each record once for clean images and for fog at two severities, twice the error at the higher one."""
    made = []
    for record in records:
        for name, condition, factor in (
            ("clean", {}, 1.0),
            ("fog-1", {"data.test_corruption": {"name": "fog", "severity": 1}}, 1.5),
            ("fog-3", {"data.test_corruption": {"name": "fog", "severity": 3}}, 2.0),
        ):
            error = record["tested"][0]["metrics"]["top1_error"] * factor
            test = result_of_test({"top1_error": error, "top5_error": error / 3}, conditions=condition)
            made.append({**record, "tested": [test], "cell": {**record["cell"], "images": name}})
    return made


def test_the_page_has_corruption_errors_and_error_against_severity(tmp_path):
    made = corrupted(grid(2, functions=["relu", "lpflu"]))
    write_report(spec(["images"], metrics=("top1_error",)), made, tmp_path)
    page = (tmp_path / "index.html").read_text()
    assert '<section id="corruptions"><h2>Corruption errors</h2>' in page
    assert "severity of fog" in page
    assert (tmp_path / "figures" / "sweep-images-fog-cifar100.png").exists()
    assert (tmp_path / "corruptions.csv").read_text().startswith("setting,activation,seeds,mean,fog\n")


def test_networks_tested_under_several_conditions_have_one_figure_of_their_training():
    made = corrupted(grid(2, functions=["relu", "lpflu"], optimizer=["adam", "sgd"]))
    drawn = draw_all(analyse(spec(["optimizer", "images"], metrics=("top1_error",)), made))
    curves = [drawing.title for drawing in drawn if drawing.kind == "curves"]
    assert curves == ["Training: cifar100, optimizer adam", "Training: cifar100, optimizer sgd"]


def test_the_figure_is_error_against_severity_from_the_clean_images():
    study = spec(["images"], metrics=("top1_error",))
    (figure,) = [
        d for d in draw_all(analyse(study, corrupted(grid(2, functions=["relu", "lpflu"])))) if d.kind == "sweep"
    ]
    (axes,) = figure.figure.axes
    assert axes.get_xlabel() == "severity of fog"
    line = next(line for line in axes.lines if len(line.get_xdata()) == 3)
    assert list(line.get_xdata()) == [0, 1, 3]
    clean, mild, strong = line.get_ydata()
    assert (mild / clean, strong / clean) == pytest.approx((1.5, 2.0))
