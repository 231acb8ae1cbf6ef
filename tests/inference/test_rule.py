import pytest

from lpflu_bench.errors import UserError
from lpflu_bench.inference.rule import Rule
from lpflu_bench.scores import Score

ERROR, ACCURACY = Score("top1_error", "lower", "top-1 error"), Score("pixel_accuracy", "higher", "pixel accuracy")
LOSS = Score("nll", "lower", "negative log-likelihood", unit="")


def test_a_margin_of_a_score_comes_before_that_of_all():
    rule = Rule(margin={"": 1.0, "nll": 0.1})
    assert (rule.margin_of("nll"), rule.margin_of("top1_error"), Rule().margin_of("nll")) == (0.1, 1.0, None)


@pytest.mark.parametrize("margin", [{"": 99.9}, {"": 200.0, "top1_error": 1.0, "pixel_accuracy": 1.0}, {"nll": 200.0}])
def test_a_margin_within_a_scores_range_is_taken(margin):
    Rule(margin=margin).check([ERROR, ACCURACY, LOSS])


@pytest.mark.parametrize(
    ("margin", "said"),
    [
        ({"": 100.0}, "^margin: 100 is no less than the whole range of top-1 error, 100 points"),
        ({"": 1.0, "pixel_accuracy": 250.0}, "^margin.pixel_accuracy: 250 is"),
    ],
)
def test_a_margin_of_a_scores_whole_range_is_refused(margin, said):
    with pytest.raises(UserError, match=said):
        Rule(margin=margin).check([ERROR, ACCURACY, LOSS])
