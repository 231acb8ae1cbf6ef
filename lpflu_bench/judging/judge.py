"""Judge a function: examine it, measure its cost, train with it, and write what came out."""

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lpflu_bench import environment
from lpflu_bench.activations.registry import create_activation
from lpflu_bench.errors import UserError
from lpflu_bench.files import require_writable
from lpflu_bench.inference.rule import Rule
from lpflu_bench.inference.sequential import default_looks
from lpflu_bench.judging.isolated import examine
from lpflu_bench.judging.judgement import Judgement, Settings, earlier
from lpflu_bench.judging.ladder import Ladder, require_room
from lpflu_bench.judging.page import write_page
from lpflu_bench.judging.paired_runs import PairedRuns
from lpflu_bench.judging.recipes import TASKS, folder_settings, plan_of
from lpflu_bench.judging.sealed_test import TEST_SHARE, score_tests
from lpflu_bench.judging.subject import Subject, subject_of
from lpflu_bench.seeding import derive_seed
from lpflu_bench.studies.plan import EMBEDDED
from lpflu_bench.studies.store import Store
from lpflu_bench.text import nearest

BUDGET = 600.0
COMPILE_SHARE = 0.1
"""Of the budget, for the cost in compiled networks."""
FOLDER = "try"
"""Of all tries, among results and runs."""


def judge(
    function: str | Callable[..., Any],
    against: Sequence[str] = Settings().against,
    *,
    budget: float = BUDGET,
    tasks: Sequence[str] = TASKS,
    data_roots: dict[str, str] | None = None,
    level: float = Settings().level,
    margin: float = Settings().margin,
    results: str | Path = "results",
    runs: str | Path = "runs",
    overwrite: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> Judgement:
    """Answer three questions about an activation function: is it sound, what does it cost, does it help?

    What is there of an earlier, interrupted call is continued; a finished one is returned as it is.

    Args:
        function: ``my_functions.py:Bent``, a registry name, or a class or function that its file has under its name.
        against: functions to compare with; the verdict's word is about the first.
        budget: seconds, all sessions together; the cost in compiled networks is measured from 20 minutes on.
        tasks: of ``classification``, ``segmentation`` and ``detection``, the cheapest first.
        data_roots: task -> folder with data of yours in the place of the embedded set.
        level: the chance that any of the verdicts is false.
        margin: differences smaller than this do not matter, in points of each task's main score.
        results: folder under which ``try/NAME`` gets the page, the JSON and the records.
        runs: folder of checkpoints and logs.
        overwrite: begin anew where another try of this name is.
        progress: is told what is being done.

    Returns:
        What was found, with ``word``, ``verdict`` and ``page``.

    Raises:
        UserError: the function cannot be imported or is none, an argument is wrong, or the folder holds another try.
    """
    subject = subject_of(function)
    settings = _settings(subject, against, tasks, data_roots or {}, level, margin)
    folder = Path(results) / FOLDER / subject.name
    if overwrite:
        for old in (folder, Path(runs) / FOLDER / subject.name):
            shutil.rmtree(old, ignore_errors=True)
    require_writable(folder, "--results")
    judgement = earlier(folder, subject, settings) or Judgement(subject, settings, folder)
    if not judgement.ended:
        _work(judgement, budget, Path(results), Path(runs), progress)
    return judgement


def _settings(
    subject: Subject,
    against: Sequence[str],
    tasks: Sequence[str],
    roots: dict[str, str],
    level: float,
    margin: float,
) -> Settings:
    if not against:
        raise UserError("--against needs at least one function to compare with")
    for name in against:
        create_activation(name)
        if name == subject.spec:
            raise UserError(f"--against {name}: it is the function itself")
    for task in tasks:
        if task not in TASKS:
            raise UserError(f"--tasks {task}: there is no such task{nearest(task, TASKS)}")
    if not tasks:
        raise UserError(f"--tasks needs at least one of {', '.join(TASKS)}")
    for task, root in roots.items():
        if task not in tasks:
            raise UserError(f"--data.root {task}={root}: write TASK=DIR, with a task that is tried: {', '.join(tasks)}")
    if not 0 < level <= 0.5:
        raise UserError(f"--level {level}: it must be above 0 and at most 0.5")
    if not 0 < margin < 100:
        raise UserError(f"--margin {margin:g}: it must be above 0 and below 100, the whole range of the main scores")
    ordered = tuple(task for task in TASKS if task in tasks)
    places = {
        task: root if root == EMBEDDED else str(Path(root).expanduser().absolute()) for task, root in roots.items()
    }
    for task, place in places.items():
        folder_settings(task, place)  # refused now, not after minutes
    return Settings(tuple(dict.fromkeys(against)), ordered, places, level, margin)


def _work(judgement: Judgement, budget: float, results: Path, runs: Path, progress: Callable[[str], None]) -> None:
    """Do what is left of a try; whatever ends it, what was found is written."""
    begin, before = time.monotonic(), judgement.seconds

    def left() -> float:
        return budget * (1 - TEST_SHARE) - before - (time.monotonic() - begin)

    try:
        subject, settings = judgement.subject, judgement.settings
        if judgement.examination is None:
            names = {**{name: name for name in settings.against}, subject.name: subject.spec}
            judgement.examination = examine(
                subject.spec, names, compile_seconds=COMPILE_SHARE * budget, progress=progress
            )
            judgement.write()
        if judgement.examination.fatal is not None:
            judgement.stopped = "It was not trained."
        else:
            paired = _paired_runs(judgement, results, runs, progress)
            ladder = Ladder(paired)
            require_room(ladder, settings.tasks[0], left, budget)
            ladder.climb(left())
            judgement.stopped = ladder.stopped
            judgement.tasks = score_tests(paired)
        judgement.ended = True
    finally:
        judgement.seconds = before + time.monotonic() - begin
        if judgement.examination is not None:
            judgement.write()
            write_page(judgement)


def _paired_runs(judgement: Judgement, results: Path, runs: Path, progress: Callable[[str], None]) -> PairedRuns:
    subject, settings = judgement.subject, judgement.settings
    label = subject.name if subject.name not in settings.against else f"{subject.name} (judged)"
    rule = Rule(
        level=settings.level / len(settings.tasks),
        margin={"": settings.margin},
        looks=default_looks(settings.max_seeds),
    )
    own = Store(f"{FOLDER}/{subject.name}", results, runs)
    key = derive_seed(0, environment.IMPORTED, *(f"{task}={root}" for task, root in sorted(settings.roots.items())))
    shared = Store(f"{FOLDER}/references-{key:016x}", results, runs)
    plans = {
        task: plan_of(
            task, subject, label, settings.against, rule, settings.roots.get(task), own.runs / f"plan-{task}.json"
        )
        for task in settings.tasks
    }
    return PairedRuns(plans, label, settings.against, rule, own, shared, progress=progress)
