"""The parser of a command that trains or tests."""

import inspect
import typing

import pytest
from pytorch_lightning import Trainer

from lpflu_bench.training.argument_parser import BenchArgumentParser


def forget_types():
    """Empty typing's caches, as in a new process."""
    for clear in typing._cleanups:
        clear()


@pytest.mark.parametrize(("text", "value"), [("1", 1), ("1.0", 1.0), ("0", 0), ("0.5", 0.5), ("null", None)])
@pytest.mark.parametrize("order", [(float, int, None), (int, float, None)])
def test_one_batch_is_not_all_of_them_whichever_library_came_first(monkeypatch, order, text, value):
    forget_types()
    kind = typing.Union[order]  # noqa: UP007  (the order is what is tested)
    # What Optional[Union[int, float]] is where a library has asked for Optional[Union[float, int]] before.
    annotations = inspect.unwrap(Trainer.__init__).__annotations__
    for name, annotation in annotations.items():
        if annotation == kind:
            monkeypatch.setitem(annotations, name, kind)
    parser = BenchArgumentParser()
    parser.add_lightning_class_args(Trainer, "trainer")
    forget_types()
    found = parser.parse_args([f"--trainer.limit_val_batches={text}"]).trainer.limit_val_batches
    assert (found, type(found)) == (value, type(value))
