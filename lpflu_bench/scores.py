"""What a score is: declared once by the module that computes it, carried by the record, read by everything else."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Score:
    """A number that a test reports.

    Attributes:
        name: its key in the record's ``metrics``.
        direction: which way is better.
        label: as people write it, such as ``top-1 error``.
        unit: of the value; empty for none.
        share: whether it is a share of independent test samples, in percent (so that binomial intervals apply).
        main: whether it is the task's main score, which verdicts and figures are about by default.
    """

    name: str
    direction: Literal["lower", "higher"]
    label: str
    unit: str = "%"
    share: bool = False
    main: bool = False

    @property
    def lower_is_better(self) -> bool:
        """Whether a smaller value is a better one."""
        return self.direction == "lower"

    @property
    def span(self) -> float:
        """The largest difference that two of its values can have: 100 points for a percentage, else without a bound."""
        return 100.0 if self.unit == "%" else math.inf

    @property
    def title(self) -> str:
        """Label and unit, for axes and table heads."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


def main_score(scores: Iterable[Score]) -> Score:
    """Return the declared main score; of several that were picked without it, the first."""
    picked = tuple(scores)
    return next((score for score in picked if score.main), picked[0])


def recorded_scores(record: Mapping[str, Any]) -> dict[str, Score]:
    """Return the scores that a record declares, by name."""
    return {fields["name"]: Score(**fields) for fields in record.get("scores") or ()}
