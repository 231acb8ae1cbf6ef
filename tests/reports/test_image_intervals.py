import numpy as np
from synthetic_records import grid, record, spec

from lpflu_bench.inference.images import mcnemar
from lpflu_bench.reports.analysis import analyse
from lpflu_bench.reports.tables import comparison_line


class Share:
    """Outcomes of a share that agree with a record's score."""

    scores = ("top1_error",)

    def __init__(self, item, images=400):
        rng = np.random.default_rng(item["trained"]["seed"] * 10 + len(item["trained"]["activation"]))
        wrong = round(item["tested"][0]["metrics"]["top1_error"] * images / 100)
        self.num_images = images
        self.wrong = np.zeros(images)
        self.wrong[rng.permutation(images)[:wrong]] = 100.0

    def per_image_score(self, name):
        return self.wrong


def load(item, weights):
    return Share(item) if weights == "raw" else None


def test_intervals_for_new_images_too_contain_those_for_new_seeds():
    analysis = analyse(spec(metrics=("top1_error",)), grid(4, 0.2), load)
    column = analysis.columns[0]
    rows = [row for row in column.rows if row.comparison]
    assert rows
    for row in rows:
        assert row.for_images.low <= row.interval.low
        assert row.for_images.high >= row.interval.high
        assert "for new images too: " in comparison_line(row, column)[-1]
    assert any(row.for_images.high > row.interval.high + 0.5 for row in rows)  # 400 images are few
    plain = analyse(spec(metrics=("top1_error",)), grid(4, 0.2)).columns[0]
    assert [row.verdict for row in plain.rows] == [row.verdict for row in column.rows]


def test_one_seed_compares_two_networks_and_no_functions():
    records = [record("lpflu", 0, 30.0), record("relu", 0, 40.0)]
    column = analyse(spec(metrics=("top1_error",)), records, load).columns[0]
    row = column.row("relu")
    assert row.verdict.word == "no verdict"
    assert row.two_networks == mcnemar(Share(records[1]).wrong > 0, Share(records[0]).wrong > 0)
    note = comparison_line(row, column)[-1]
    assert "these two trained networks" in note
    assert "nothing about the functions" in note


def test_a_run_without_outcomes_has_no_interval_for_images():
    def some(item, weights):
        return None if item["trained"]["seed"] == 1 and item["trained"]["activation"] == "relu" else load(item, weights)

    column = analyse(spec(metrics=("top1_error",)), grid(4, 0.2), some).columns[0]
    assert column.row("relu").for_images is None
    assert column.row("gish").for_images is not None
