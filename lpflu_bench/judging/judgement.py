"""The answer: what was found of one function, its verdict, and how it is kept as JSON."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lpflu_bench.errors import UserError
from lpflu_bench.files import cannot_write, write_text_atomically
from lpflu_bench.inference.verdicts import Word
from lpflu_bench.judging.cost import cost_text
from lpflu_bench.judging.findings import Outcome
from lpflu_bench.judging.isolated import Examination, examination_from_dict
from lpflu_bench.judging.rungs import TaskResult, overall, task_result_from_dict
from lpflu_bench.judging.subject import Subject

FILE = "try.json"
PAGE = "index.html"
UNSOUND = "unsound"
UNFINISHED = "unfinished"


@dataclass(frozen=True)
class Settings:
    """What a try is asked to do. All but the budget make it another try.

    Attributes:
        against: the functions that it is compared with; the verdict's word is about the first.
        tasks: kinds of task, in the order in which they are tried.
        roots: task -> folder of its data, where it is not the embedded set.
        level: the chance that any claim of the try is false, over all its looks, tasks and functions.
        margin: differences smaller than this do not matter, in points of each task's main score.
        max_seeds: the most seeds of each function.
    """

    against: tuple[str, ...] = ("relu", "silu", "lpflu")
    tasks: tuple[str, ...] = ("classification", "segmentation", "detection")
    roots: dict[str, str] = field(default_factory=dict)
    level: float = 0.05
    margin: float = 1.0
    max_seeds: int = 12


@dataclass
class Judgement:
    """What is known of a function.

    Attributes:
        subject: the function.
        settings: what was asked.
        examination: whether it is sound, and what it costs; None while that is not finished.
        tasks: whether it helps, by task.
        seconds: spent so far, in all sessions.
        ended: whether the test sets have been scored: nothing more is run.
        stopped: why the trainings ended.
        folder: of its page and JSON.
    """

    subject: Subject
    settings: Settings
    folder: Path
    examination: Examination | None = None
    tasks: list[TaskResult] = field(default_factory=list)
    seconds: float = 0.0
    ended: bool = False
    stopped: str = ""

    @property
    def word(self) -> str:
        """``unsound``, ``better``, ``worse``, ``mixed``, ``equivalent``, ``undecided`` or ``unfinished``."""
        if self.examination is not None and self.examination.fatal is not None:
            return UNSOUND
        if not self.ended:
            return UNFINISHED
        return overall(self.tasks, self.settings.against[0])

    @property
    def verdict(self) -> str:
        """The answer in one line, the word first."""
        name, found = self.subject.name, self.examination
        if found is not None and found.fatal is not None:
            return f"{name}: {UNSOUND}: {found.fatal.check}: {found.fatal.text}"
        claims = "; ".join(claim for task in self.tasks for claim in task.claims())
        parts = [claims]
        if found is not None:
            cost = cost_text(name, found.alone, found.network)
            failed = [one.check for one in found.findings if one.outcome == Outcome.FAILED]
            measured = "cost on a busy machine" if found.busy else "cost"
            parts.append(f"{measured}: {cost}" if cost else "")
            parts.append(f"fails: {', '.join(failed)}" if failed else "")
        return f"{name}: {self.word}" + "".join(f"; {part}" for part in parts if part)

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON, the verdict first."""
        return {
            "verdict": self.verdict,
            "word": str(self.word),
            "ended": self.ended,
            "stopped": self.stopped,
            "seconds": round(self.seconds, 1),
            "subject": asdict(self.subject),
            "settings": asdict(self.settings),
            "tasks": [task.as_dict() for task in self.tasks],
            "examination": self.examination.as_dict() if self.examination else None,
        }

    @property
    def page(self) -> Path:
        """The page's file."""
        return self.folder / PAGE

    def write(self) -> None:
        """Keep it, the verdict in the first line.

        Raises:
            UserError: the folder cannot be written to.
        """
        text = json.dumps(self.as_dict(), indent=1).removeprefix("{\n ")
        try:
            write_text_atomically(self.folder / FILE, "{" + text + "\n")
        except OSError as error:
            raise cannot_write(f"--results {self.folder}", error) from error


def earlier(folder: Path, subject: Subject, settings: Settings) -> Judgement | None:
    """Return what an earlier session of the same try left.

    Raises:
        UserError: the folder holds another try: of other code or other settings.
    """
    path = folder / FILE
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        theirs = json.loads(json.dumps({"subject": asdict(subject), "settings": asdict(settings)}))
        for part, ours in theirs.items():
            for key, value in ours.items():
                if kept[part].get(key) != value:
                    what = (
                        "the function's file has changed since"
                        if key == "source"
                        else f"its {key} was {kept[part][key]}"
                    )
                    raise UserError(f"{path} is another try: {what}; pass --overwrite to begin anew, or --results DIR")
        found = kept["examination"]
        return Judgement(
            subject,
            settings,
            folder,
            examination_from_dict(found) if found else None,
            [task_result_from_dict(fields) for fields in kept["tasks"]],
            float(kept["seconds"]),
            bool(kept["ended"]),
            str(kept["stopped"]),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({error}); pass --overwrite to begin anew") from error


WORDS = (
    UNSOUND,
    UNFINISHED,
    "mixed",
    *(str(word) for word in (Word.BETTER, Word.WORSE, Word.EQUIVALENT, Word.UNDECIDED)),
)
