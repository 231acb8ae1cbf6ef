"""The rule of a study: declared before its runs, read by everything that says something about them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lpflu_bench.errors import UserError
from lpflu_bench.scores import Score

MIN_SEEDS = 3
"""Fewest paired seeds on which a verdict is based."""
POWER = 0.8
"""The probability with which a planned study is to find what it looks for."""


@dataclass(frozen=True)
class Rule:
    """How comparisons are judged.

    Attributes:
        level: the chance that any verdict of a column is false.
        margin: differences this small do not matter, in the score's unit: by score, or under ``""`` for every score.
        looks: numbers of seeds at which a sequential study is looked at, the last one its largest; empty for a study
            with a fixed number of seeds.
    """

    level: float = 0.05
    margin: Mapping[str, float] = field(default_factory=dict)
    looks: tuple[int, ...] = ()

    def margin_of(self, score: str) -> float | None:
        """Return the margin within which a score's differences do not matter, None where none is declared."""
        return self.margin.get(score, self.margin.get(""))

    def check(self, scores: Iterable[Score]) -> None:
        """Refuse a margin within which any two values of a score lie.

        Raises:
            UserError: names the margin and the score.
        """
        for score in scores:
            margin = self.margin_of(score.name)
            if margin is not None and margin >= score.span:
                key = f"margin.{score.name}" if score.name in self.margin else "margin"
                raise UserError(
                    f"{key}: {margin:g} is no less than the whole range of {score.label}, {score.span:g} points: "
                    "every function would be equivalent; give a smaller one, such as 0.3"
                )
