"""A share of the training images is held out for validation, the same for every seed, and the test set is untouched."""

import pytest

from lpflu_bench.data import VOC, Cityscapes
from lpflu_bench.errors import UserError


def parts(data):
    data.setup("fit")
    items = [
        getattr(part, "annotations", None) or part.scenes for part in (data.train_set, data.val_set, data.test_set)
    ]
    return [{item.image for item in part} for part in items]


@pytest.mark.parametrize("kind", [VOC, Cityscapes])
def test_validation_is_held_out_of_training(kind):
    whole, _, tested = parts(kind(root="embedded"))
    train, val, test = parts(kind(root="embedded", val_fraction=0.25, seed=1))
    assert train | val == whole
    assert not train & val
    assert len(val) == len(whole) // 4
    assert test == tested
    assert parts(kind(root="embedded", val_fraction=0.25, seed=2))[1] == val


@pytest.mark.parametrize("kind", [VOC, Cityscapes])
def test_a_share_out_of_range_is_refused(kind):
    with pytest.raises(UserError, match=r"data.val_fraction is 1: it must be above 0 and below 1"):
        kind(root="embedded", val_fraction=1.0)
