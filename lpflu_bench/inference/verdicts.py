"""What an interval says: the only place where a difference becomes a word."""

from dataclasses import dataclass
from enum import StrEnum


class Word(StrEnum):
    """What is concluded about a function."""

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    UNDECIDED = "undecided"
    NONE = "no verdict"
    """Nothing can be said: too few seeds, no result, no spread."""
    NOT_JUDGED = "not judged"
    """An earlier score of the declared order did not decide about the function."""
    REFERENCE = "reference"


@dataclass(frozen=True)
class Interval:
    """An interval of a difference, function - reference, in the score's unit."""

    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether a difference is shown."""
        return self.low > 0 or self.high < 0

    def within(self, margin: float | None) -> bool:
        """Whether only differences smaller than ``margin`` are left."""
        return margin is not None and -margin < self.low and self.high < margin


@dataclass(frozen=True)
class Verdict:
    """A word and what limits it.

    Attributes:
        word: what is concluded.
        below_margin: a difference is shown (better or worse), and it is smaller than the declared margin.
        reason: why nothing is concluded.
    """

    word: Word
    below_margin: bool = False
    reason: str = ""

    @property
    def decided(self) -> bool:
        """Whether a sequential study needs no more seeds of the function."""
        return self.word in (Word.BETTER, Word.WORSE, Word.EQUIVALENT)

    @property
    def differs(self) -> bool:
        """Whether a difference from the reference is shown."""
        return self.word in (Word.BETTER, Word.WORSE)

    def __str__(self) -> str:
        if self.below_margin:
            return f"{self.word} (by less than the margin)"
        return f"{self.word} ({self.reason})" if self.reason else str(self.word)


def judge(interval: Interval, *, lower_is_better: bool, margin: float | None = None) -> Verdict:
    """Return what an interval of a difference says.

    Better or worse if and only if it excludes 0; equivalent if and only if it lies within the margin; both at once is
    a real difference below the margin; else undecided.
    """
    small = interval.within(margin)
    if interval.excludes_zero:
        return Verdict(Word.BETTER if (interval.high < 0) == lower_is_better else Word.WORSE, below_margin=small)
    return Verdict(Word.EQUIVALENT if small else Word.UNDECIDED)
