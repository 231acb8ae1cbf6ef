"""Which split is trained on and which is tested on."""

import pytest

from lpflu_bench.data.splits import choose_splits
from lpflu_bench.errors import UserError


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["train", "val"], ("train", "val", None)),
        (["train", "valid", "test"], ("train", "test", "valid")),
        (["train", "trainval", "val", "test"], ("trainval", "test", None)),
        (["training", "testing"], ("training", "testing", None)),
        (["all"], ("all", None, None)),
        (["val"], ("val", None, None)),  # not trained on and tested on
        (["extra", "test"], ("extra", "test", None)),
    ],
)
def test_by_convention(names, chosen):
    assert choose_splits(names, None, None, None) == chosen


def test_the_only_split_cannot_be_tested_on_alone():
    with pytest.raises(UserError, match="val is the only split of this set"):
        choose_splits(["val"], None, "val", None)
