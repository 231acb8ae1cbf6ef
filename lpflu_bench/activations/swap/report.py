"""What a swap did, and what it left."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from rich.table import Table
from torch import nn

from lpflu_bench.activations.swap.placement import Block
from lpflu_bench.terminal import text_table
from lpflu_bench.text import count_of


@dataclass(frozen=True)
class Placement:
    """One place where the function was put."""

    path: str
    """Dotted path of the module in the network."""
    old: str
    """Class, or name of the function, that was there."""
    new: str
    """Class that is there now."""
    slope: str | None
    """Form of the negative slope (ema, fixed, trainable) of a leaky function, else None."""
    block: Block
    """Connection of the block around it."""
    squeeze_excitation: bool
    """Whether it is inside squeeze-and-excitation."""


class Remaining(NamedTuple):
    """A nonlinearity that was not replaced."""

    path: str
    """Its module, or the module whose ``forward`` calls the function."""
    type: str
    """Class, or name of the function."""
    why: str
    """gate, output, squeeze-and-excitation (where that is excluded), or never called; else why it could not be."""


@dataclass(frozen=True)
class PlacementReport:
    """Where a function went: every replaced and every remaining nonlinearity of the network."""

    placements: list[Placement]
    kept: list[Remaining]
    """Those that were to stay as they are."""
    left: list[Remaining] = field(default_factory=list)
    """Those that should have been replaced, or may be nonlinearities; empty after a strict swap."""
    untraced: str = ""
    """Why the network couldn't be traced, if so: then only modules known by their class were found."""
    on_values: bool = False
    """Whether the network's ``forward`` depends on values: only calls that one made-up input makes were seen then."""
    ema_scope: str = "residual"
    originals: dict[str, nn.Module] = field(default_factory=dict, repr=False)
    """What was at each replaced place, not in place; not part of the summary."""

    @property
    def coverage(self) -> float:
        """Share of the nonlinearities to be replaced that were; NaN without any."""
        total = len(self.placements) + len(self.left)
        return len(self.placements) / total if total else float("nan")

    def counts(self) -> dict[str, Any]:
        """Return the number of replaced, kept and left places, and of slopes by form."""
        slopes = Counter(placement.slope for placement in self.placements if placement.slope is not None)
        return {
            "replaced": len(self.placements),
            "kept": len(self.kept),
            "left": len(self.left),
            "slopes": dict(sorted(slopes.items())),
        }

    def summary(self) -> dict[str, Any]:
        """Return the whole report as JSON-able data: :meth:`counts`, and its lists one by one."""
        return {
            **self.counts(),
            "coverage": self.coverage,
            "untraced": self.untraced,
            "on_values": self.on_values,
            "layers": [asdict(placement) for placement in self.placements],
            "kept_layers": [kept._asdict() for kept in self.kept],
            "left_layers": [left._asdict() for left in self.left],
        }

    def sentence(self) -> str:
        """Return the counts in words, as in "33 places (slopes: 17 ema, 16 fixed), 9 others kept (9 gate)"."""
        slopes = ", ".join(f"{number} {form}" for form, number in self.counts()["slopes"].items())
        reasons = ", ".join(f"{number} {why}" for why, number in Counter(kept.why for kept in self.kept).items())
        return (
            f"{count_of(len(self.placements), 'place')}{f' (slopes: {slopes})' if slopes else ''}, "
            f"{count_of(len(self.kept), 'other')} kept{f' ({reasons})' if reasons else ''}"
        )

    def remarks(self) -> list[str]:
        """Return what a reader of the counts should know, a line each."""
        lines: list[str] = []
        slopes = self.counts()["slopes"]
        if self.untraced:
            lines.append(f"calls of functions could not be seen: the network couldn't be traced ({self.untraced})")
        if self.on_values:
            lines.append("its forward depends on values: calls that only other inputs would make could not be seen")
        if self.ema_scope == "residual" and slopes.get("fixed") and not slopes.get("ema"):
            lines.append("no place is in a residual, dense or shuffle block, so that every slope is a fixed one")
        lines.extend(f"left: {left.path or 'the network'}: {left.type}, {left.why}" for left in self.left)
        return lines

    def table(self) -> Table:
        """Return the report as a table for the terminal; :meth:`remarks` says what it does not."""
        lines = [
            (
                placement.path,
                placement.old,
                placement.new,
                placement.slope or "",
                placement.block + (" (squeeze-and-excitation)" if placement.squeeze_excitation else ""),
            )
            for placement in self.placements
        ]
        lines += [(kept.path, kept.type, "kept", "", kept.why) for kept in self.kept]
        lines += [(left.path, left.type, "LEFT", "", left.why) for left in self.left]
        head = ("module", "was", "is", "slope", "block")
        return text_table("Placement of the activation function", head, lines, texts=5)
