"""Which part of a data set is trained on and which is tested on, by the names that people give to splits."""

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeVar

import torch

from lpflu_bench.errors import UserError
from lpflu_bench.seeding import derive_seed

Role = Literal["train", "val", "test", "trainval"]
Item = TypeVar("Item")

ALL = "all"
"""The name of everything, for a set that has no splits."""

_ROLES: dict[str, Role] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
    "trainval": "trainval",
}


class Splits(NamedTuple):
    """Names of splits; several are joined by "+".

    Attributes:
        train: what is trained on.
        test: what is tested on; null: a share of ``train`` is held out.
        val: what validation runs on; null: the test set.
    """

    train: str
    test: str | None
    val: str | None = None


def split_role(name: str) -> Role | None:
    """Return what a split's name says it is for (``valid`` and ``2012/val2017`` are both ``val``), or null."""
    return _ROLES.get(re.sub(r"[\d_.-]+$", "", name.rsplit("/", 1)[-1].lower()))


def choose_splits(names: Sequence[str], train: str | None, test: str | None, val: str | None) -> Splits:
    """Return the splits to use: the named ones, the rest by convention.

    With a test split, ``trainval`` (or else ``train``) is trained on and ``val`` validates; without one, ``val`` is the
    test set; with neither, a share is held out. Splits of one kind are joined.

    Args:
        names: of the splits that are there.
        train: null: by convention. The same for ``test`` and ``val``.
        test: see ``train``.
        val: see ``train``.

    Raises:
        UserError: a split that was asked for isn't there, or none is left to train on.
    """
    for key, asked in (("train", train), ("test", test), ("val", val)):
        for name in asked.split("+") if asked else ():
            if name.strip() not in names:
                shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
                raise UserError(
                    f"data.{key}: there is no split {name.strip()!r} in this set; it has {shown}; name one of them, or "
                    f"pass --data.{key} null to choose by convention"
                )
    if train is None and test is None and len(names) == 1:
        return Splits(names[0], None, val)  # whatever it is called, a share of it is held out
    found: dict[Role | None, str] = {}
    for name in names:
        role = split_role(name)
        found[role] = f"{found[role]}+{name}" if role in found else name
    if train is None and test is None and "test" in found and ("trainval" in found or "train" in found):
        if "trainval" in found:
            return Splits(found["trainval"], found["test"], val)
        return Splits(found["train"], found["test"], val or found.get("val"))
    if train is None:
        train = found.get("train") or found.get("trainval")
    if test is None:
        test = next((found[role] for role in ("test", "val") if role in found and found[role] != train), None)
    if train is None:
        train = ALL if ALL in names else "+".join(name for name in names if name != test)
    if not train:
        raise UserError(
            f"data.test: {test} is the only split of this set, which leaves none to train on; leave data.test out"
        )
    return Splits(train, test, val)


def hold_out(items: Sequence[Item], share: float, setting: str = "test_fraction") -> tuple[list[Item], list[Item]]:
    """Return the items that are kept and a random share that is held out: the same ones for every run's seed.

    Args:
        items: images, in any order that does not change.
        share: of them.
        setting: of the data module that asks for it; another one holds out others.

    Raises:
        UserError: one of the two would be empty.
    """
    generator = torch.Generator().manual_seed(derive_seed(0, setting))
    order = torch.randperm(len(items), generator=generator).tolist()
    count = round(share * len(items))
    if not 0 < count < len(items):
        purpose = "validate" if setting == "val_fraction" else "test"
        raise UserError(
            f"data.{setting} {share} of {len(items)} images leaves none to train on or none to {purpose} on"
        )
    held = set(order[:count])
    return [item for i, item in enumerate(items) if i not in held], [items[i] for i in sorted(held)]
