import pytest
from synthetic_records import result_of_test

from lpflu_bench.records import blank
from lpflu_bench.studies.progress import metric_text

SCORES = [
    {"name": "top1_error", "direction": "lower", "label": "top-1 error", "unit": "%", "share": True, "main": True},
    {
        "name": "nll",
        "direction": "lower",
        "label": "negative log-likelihood",
        "unit": "",
        "share": False,
        "main": False,
    },
]


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["nll", "top1_error"], "top-1 error 12.50 %"),
        (["nll"], "negative log-likelihood 0.70"),
        (["miou"], ""),
        ([], ""),
    ],
)
def test_the_main_one_of_the_studys_scores_is_shown(names, shown):
    record = blank(config={}, config_hash="0" * 16, seed=0, labels={}, at="2026-01-01T00:00:00+00:00")
    record["scores"], record["tested"] = SCORES, [result_of_test({"top1_error": 12.5, "nll": 0.7})]
    assert metric_text(record, names) == shown
