import html.parser
import itertools
import json
import re
import xml.etree.ElementTree as ET

import pandas as pd
import pytest
from synthetic_records import FUNCTIONS, grid, record, spec

from lpflu_bench.errors import UserError
from lpflu_bench.records import blank
from lpflu_bench.reports import drawing, figures, sweep_figures
from lpflu_bench.reports.analysis import analyse
from lpflu_bench.reports.figures import draw_all
from lpflu_bench.reports.page import page
from lpflu_bench.reports.report import write_report
from lpflu_bench.reports.wording import sentences


class Page(html.parser.HTMLParser):
    """Collects what the tests ask of the page, and fails on unbalanced elements."""

    VOID = ("meta", "link", "br", "img", "input", "hr")

    def __init__(self, text):
        super().__init__()
        self.open, self.links, self.ids, self.text, self.tags = [], [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        self.links += [attributes[key] for key in ("href", "src", "xlink:href") if key in attributes]
        self.ids += [attributes["id"]] if "id" in attributes else []
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def records():
    made = grid(3, optimizer=["adam", "sgd"])
    made[0].update(status="failed", error="loss is not finite <b>&</b>", tested=[])
    return made


@pytest.fixture(scope="module")
def report(records, tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    write_report(spec(["optimizer"], published="table1", title="Table 1 <optimisers>"), records, out)
    return out


def test_every_file_is_there(report):
    names = {str(file.relative_to(report)) for file in report.rglob("*") if file.is_file()}
    assert {"cells.csv", "table.csv", "table.md", "table.tex", "published.csv", "index.html"} <= names
    pictures = {name for name in names if name.startswith("figures/")}
    assert {name.removesuffix(".svg") + ".png" for name in pictures if name.endswith(".svg")} == {
        name for name in pictures if name.endswith(".png")
    }
    assert {"figures/sweep-optimizer-cifar100.svg", "figures/intervals-cifar100-optimizer-adam.svg"} <= pictures
    assert "figures/curves-cifar100-optimizer-adam.svg" in pictures
    assert "figures/cost-cifar100-optimizer-sgd.svg" in pictures
    assert len(pd.read_csv(report / "cells.csv")) == 36
    assert len(pd.read_csv(report / "table.csv")) == 24
    assert len(pd.read_csv(report / "published.csv")) == 20


def test_a_second_report_is_the_same_to_the_byte(records, report, tmp_path):
    stale = tmp_path / "figures" / "sweep-of-before.png"
    stale.parent.mkdir()
    stale.write_bytes(b"")
    write_report(spec(["optimizer"], published="table1", title="Table 1 <optimisers>"), records[::-1], tmp_path)
    files = sorted(file.relative_to(report) for file in report.rglob("*") if file.is_file())
    assert files == sorted(file.relative_to(tmp_path) for file in tmp_path.rglob("*") if file.is_file())
    for file in files:
        assert (report / file).read_bytes() == (tmp_path / file).read_bytes(), file


def test_the_page_is_self_contained_well_formed_and_escaped(report):
    text = (report / "index.html").read_text()
    page = Page(text)
    assert all(link.startswith("#") for link in page.links), page.links
    assert not re.search(r"url\((?!['\"]?#)|@import|fetch\(|XMLHttpRequest", text)
    assert len(page.ids) == len(set(page.ids))
    anchors = {link[1:] for tag, attributes in page.tags if tag == "a" for link in [attributes["href"]]}
    assert anchors <= set(page.ids)
    assert "Table 1 &lt;optimisers&gt;" in text
    assert "<b>&</b>" not in text
    assert drawing.INK not in text  # figures take the page's colour, light or dark
    assert "prefers-color-scheme: dark" in text


def test_the_page_says_the_verdicts_and_opens_each_runs_settings(report, records):
    text = (report / "index.html").read_text()
    page = Page(text)
    words = " ".join(" ".join(page.text).split())
    assert "35 of 36 finished, 1 failed" in words
    assert "undecided" in words
    assert "Not the published settings, so nothing is concluded" in words
    assert "No average rank" in words
    configs = json.loads(re.search(r'id="configs">(.*?)</script>', text, re.S).group(1))
    assert len(configs["cells"]) == len(records)
    assert configs["common"]["config.trainer.max_epochs"] == 80
    assert "config.model.init_args.activation" in configs["cells"][0]
    opened = {int(a["data-cell"]) for tag, a in page.tags if tag == "details" and "data-cell" in a}
    assert opened == set(range(len(records)))
    assert configs["cells"][0] | configs["common"] != configs["cells"][1] | configs["common"]


def test_figures_are_valid_svg_with_their_functions_named(report):
    for file in (report / "figures").glob("*.svg"):
        tree = ET.fromstring(file.read_text())
        texts = {element.text for element in tree.iter("{http://www.w3.org/2000/svg}text")}
        reference = {"lpflu"} if file.stem.startswith("intervals") else set()
        assert set(FUNCTIONS) - reference <= texts, file


def drawings(made, axes=(), **changes):
    return figures.draw_all(analyse(spec(axes, metrics=("top1_error",), **changes), made))


def test_numeric_sweeps_have_lines_and_a_logarithmic_axis_categories_neither():
    drawn = drawings(grid(3, batch_size=[16, 32, 64, 128, 256]), ["batch_size"])
    assert [d.kind for d in drawn] == [*["intervals"] * 5, "sweep", *["curves"] * 5, *["cost"] * 5, "ranks"]
    axes = drawn[5].figure.axes[0]
    assert axes.get_xscale() == "log"
    line = next(line for line in axes.lines if line.get_label() == "gish")
    assert line.get_linestyle() != "None"
    assert list(line.get_xdata()) == [16, 32, 64, 128, 256]
    sweep = next(d for d in drawings(grid(3, optimizer=["adam", "sgd"]), ["optimizer"]) if d.kind == "sweep")
    assert all(line.get_linestyle() == "None" for line in sweep.figure.axes[0].lines)


def test_kinds_at_strengths_are_curves_from_the_value_without_a_strength():
    values = [
        "none",
        "train-gaussian-0.05",
        "train-gaussian-0.2",
        "test-salt_and_pepper-0.1",
        "test-salt_and_pepper-0.2",
    ]
    assert sweep_figures.strengths(values) == {
        "train-gaussian": {"none": 0.0, "train-gaussian-0.05": 0.05, "train-gaussian-0.2": 0.2},
        "test-salt_and_pepper": {"none": 0.0, "test-salt_and_pepper-0.1": 0.1, "test-salt_and_pepper-0.2": 0.2},
    }
    assert sweep_figures.strengths(["0.002", "0.02", "2e-05"]) == {"": {"0.002": 0.002, "0.02": 0.02, "2e-05": 2e-5}}
    assert sweep_figures.strengths(["clean", "fog-1", "fog-3", "pgd-2"]) == {
        "fog": {"clean": 0.0, "fog-1": 1.0, "fog-3": 3.0}
    }
    assert sweep_figures.strengths(["adam", "sgd-0.9"]) == {}
    assert sweep_figures.strengths(["adam", "sgd"]) == sweep_figures.strengths(["on", "off", "half-2"]) == {}
    sweeps = [d for d in drawings(grid(3, noise=values), ["noise"]) if d.kind == "sweep"]
    assert [d.name.split("-")[2] for d in sweeps] == ["test", "train"]
    line = next(line for line in sweeps[1].figure.axes[0].lines if line.get_label() == "relu")
    assert list(line.get_xdata()) == [0.0, 0.05, 0.2]


def test_thirty_functions_have_thirty_colours_and_labels_that_do_not_overlap():
    names = [f"function{index}" for index in range(30)]
    assert len(set(drawing.colours(names).values())) == 30
    made = grid(3, 0.5, functions=names, effects=dict.fromkeys(names, 0.0))
    curves = next(d for d in drawings(made, reference="function0") if d.kind == "curves")
    axes = curves.figure.axes[0]
    assert {text.get_text() for text in axes.texts} == set(names)
    levels = sorted(text.get_position()[1] for text in axes.texts)
    inches = curves.figure.get_figheight() - 0.9
    assert min(b - a for a, b in itertools.pairwise(levels)) * inches > 0.1  # a line of 7 points
    assert levels[0] >= -0.05
    assert levels[-1] <= 1.05


def test_intervals_have_a_dot_for_each_seed():
    made = [record("lpflu", seed, 30.0) for seed in range(3)]
    made += [record("relu", seed, 31.0 + seed / 10) for seed in range(3)]
    axes = drawings(made)[0].figure.axes[0]
    dots = next(line for line in axes.lines if len(line.get_xdata()) == 3)
    assert list(dots.get_xdata()) == pytest.approx([1.0, 1.1, 1.2])


def test_curves_show_mean_and_band_over_seeds():
    made = [record("lpflu", seed, 30.0 + seed) for seed in (0, 1, 2)]
    for item in made:
        seed = item["trained"]["seed"]
        item["trained"]["curve"] = [{"epoch": e, "val_top1_error": 40.0 - e + seed} for e in (1, 2, 3)]
    axes = drawings(made)[0].figure.axes[0]
    assert list(axes.lines[0].get_ydata()) == pytest.approx([40.0, 39.0, 38.0])
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((37.0, 41.0))


def test_a_score_of_one_epoch_alone_is_no_curve():
    made = [record("lpflu", seed, 30.0) for seed in (0, 1)]
    for item in made:
        item["trained"]["curve"] = [
            {"epoch": 1, "train_loss": 4.0},
            {"epoch": 2, "train_loss": 3.0, "val_top1_error": 40.0},
        ]
    axes = drawings(made)[0].figure.axes[0]
    assert axes.get_ylabel() == "training loss"
    assert list(axes.lines[0].get_ydata()) == pytest.approx([4.0, 3.0])


def test_a_report_that_is_refused_overwrites_nothing(report, tmp_path):
    (tmp_path / "table.md").write_text("earlier")
    with pytest.raises(UserError, match="no run of the reference"):
        write_report(spec(), [record("relu", 0, 31.0)], tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["table.md"]
    assert (tmp_path / "table.md").read_text() == "earlier"


def test_no_or_unfinished_records_make_a_report_too(tmp_path):
    planned = tuple({"task": "cifar100", "activation": name, "seed": 0} for name in FUNCTIONS)
    write_report(spec(planned=planned), [], tmp_path)
    assert "No run has finished yet" in (tmp_path / "index.html").read_text()
    Page((tmp_path / "index.html").read_text())
    labels = {"task": "cifar100", "network": "n", "activation": "lpflu"}
    failed = blank(config={}, config_hash="0" * 16, seed=0, labels=labels, at="2026-01-01T00:00:00+00:00")
    write_report(spec(planned=planned), [failed], tmp_path)
    assert "0 of 6 finished, 1 failed" in " ".join(Page((tmp_path / "index.html").read_text()).text)


def test_a_large_study_has_no_figure_for_each_place(tmp_path):
    study = spec(["noise", "optimizer"], metrics=("top1_error",))
    made = grid(1, functions=["lpflu", "relu"], noise=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], optimizer=["adam", "sgd"])
    write_report(study, made, tmp_path)
    names = {file.name.partition("-")[0] for file in (tmp_path / "figures").iterdir()}
    assert names == {"sweep"}
    assert len(list((tmp_path / "figures").glob("*.svg"))) <= figures.MAX_SWEEPS
    text = (tmp_path / "index.html").read_text()
    assert "at most 12 places" in text
    assert "at a glance" in text


def test_a_large_study_lists_its_runs_in_cells_csv_alone(monkeypatch):
    analysis = analyse(spec(), grid(2))
    assert "<td>1</td>" in page(analysis, []).split('id="runs"')[1]
    monkeypatch.setattr("lpflu_bench.reports.page.MAX_RUNS", 11)
    runs = page(analysis, []).split('id="runs"')[1]
    assert "The 12 runs are in cells.csv" in runs
    assert "<table" not in runs


def test_curves_of_records_read_in_short_are_asked_for():
    records = grid(2)
    whole = {item["trained"]["config_hash"]: item["trained"]["curve"] for item in records}
    for item in records:
        item["trained"]["curve"] = item["trained"]["curve"][-1:]
    assert not any(drawn.kind == "curves" for drawn in draw_all(analyse(spec(), records)))
    drawn = draw_all(analyse(spec(), records), lambda item: whole[item["trained"]["config_hash"]])
    (curves,) = (drawing for drawing in drawn if drawing.kind == "curves")
    assert len(curves.figure.axes[0].lines[0].get_xdata()) == 12


def test_a_sentence_about_many_functions_names_them_alone():
    names = ["lpflu", *(f"f{number}" for number in range(7))]
    effects = {name: 0.0 if name == "lpflu" else 9.0 for name in names}
    for shown, interval in ((names, False), (names[:7], True)):
        (column,) = analyse(spec(metrics=("top1_error",)), grid(5, functions=shown, effects=effects)).main_columns
        (said,) = (text for word, text in sentences(column) if word == "worse")
        assert all(name in said for name in shown[1:])
        assert ("[" in said) == interval


@pytest.mark.parametrize(
    ("levels", "placed"),
    [
        ([9.0, 10.0, 9.5], [2.0, 10.0, 6.0]),  # pushed down from the top, in their order
        ([0.0, 1.0, 9.0], [0.0, 4.0, 9.0]),
        ([5.0], [5.0]),
        ([], []),
    ],
)
def test_labels_are_spread_apart(levels, placed):
    assert drawing.spread_apart(levels, 4.0, 10.0) == placed
