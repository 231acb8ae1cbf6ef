"""What a score is: declared once by the module that computes it, carried by the record, read by everything else."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

_LABELS = {
    "top1_error": "top-1 error",
    "top5_error": "top-5 error",
    "map": "mAP",
    "map_50": "mAP@50",
    "map_75": "mAP@75",
    "miou": "mIoU",
    "miou_19": "mIoU (19 classes)",
    "pixel_accuracy": "pixel accuracy",
}


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
    label: str = ""
    unit: str = "%"
    share: bool = False
    main: bool = False

    def __post_init__(self) -> None:
        if not self.label:
            object.__setattr__(self, "label", _LABELS.get(self.name, self.name.replace("_", " ")))

    @property
    def lower_is_better(self) -> bool:
        """Whether a smaller value is a better one."""
        return self.direction == "lower"

    @property
    def title(self) -> str:
        """Label and unit, for axes and table heads."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


def main_score(scores: Iterable[Score]) -> Score:
    """Return the declared main score, which is exactly one."""
    (main,) = (score for score in scores if score.main)
    return main
