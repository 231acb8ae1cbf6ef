"""Whether a function helps: the comparisons of one task, and what they come to."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from lpflu_bench.inference.verdicts import Word

MIXED = "mixed"


@dataclass(frozen=True)
class Versus:
    """The function beside one other, on the test set.

    Attributes:
        other: the function it is compared with.
        word: what is concluded.
        reason: why, where it is not the interval.
        seeds: paired seeds.
        difference: mean of function - other, in points of the score; None where there is none.
        half_width: how far its simultaneous interval reaches to each side; None where there is none.
        validation: the same difference on the validation split, by which the seeds were stopped.
        stop: why no more seeds were run.
    """

    other: str
    word: str
    reason: str = ""
    seeds: int = 0
    difference: float | None = None
    half_width: float | None = None
    validation: float | None = None
    stop: str = ""


@dataclass(frozen=True)
class TaskResult:
    """The comparisons on one task.

    Attributes:
        task: its kind.
        score: label of the main score.
        unit: of the score and of differences.
        lower_is_better: which way is better.
        versus: one for each function compared with.
        scores: function -> seed -> test score.
        failed: seed -> why a training with the function failed.
    """

    task: str
    score: str
    unit: str
    lower_is_better: bool
    versus: tuple[Versus, ...] = ()
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def claims(self) -> list[str]:
        """Return what is shown on the task, a few words for each word."""
        said = []
        for word in (Word.BETTER, Word.WORSE, Word.EQUIVALENT):
            others = [one.other for one in self.versus if one.word == word]
            if others:
                than = "to" if word == Word.EQUIVALENT else "than"
                said.append(f"{self.task}: {word} {than} {', '.join(others)}")
        open_ = [one.other for one in self.versus if one.word not in (Word.BETTER, Word.WORSE, Word.EQUIVALENT)]
        if open_:
            said.append(f"{self.task}: undecided against {', '.join(open_)}")
        return said

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def task_result_from_dict(fields: dict[str, Any]) -> TaskResult:
    """Return what came through JSON."""
    return TaskResult(**{**fields, "versus": tuple(Versus(**one) for one in fields["versus"])})


def overall(tasks: Sequence[TaskResult], reference: str) -> str:
    """Return the word for all tasks: what is shown against one function, the reference.

    Better (worse) if it is so on a task and on no task the opposite; mixed if both; equivalent if it is so on every task.
    """
    words = [one.word for task in tasks for one in task.versus if one.other == reference]
    better, worse = Word.BETTER in words, Word.WORSE in words
    if better and worse:
        return MIXED
    if better or worse:
        return str(Word.BETTER if better else Word.WORSE)
    return str(Word.EQUIVALENT if words and all(word == Word.EQUIVALENT for word in words) else Word.UNDECIDED)
