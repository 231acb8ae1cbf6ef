"""The test sets, which nothing has seen while there was training: scored once, after the last training."""

from lpflu_bench.inference.sequential import last_looks
from lpflu_bench.judging.paired_runs import PairedRuns, finite
from lpflu_bench.judging.rungs import TaskResult, Versus
from lpflu_bench.records import metrics

TEST_SHARE = 0.1
"""Of the budget, kept for scoring the test sets."""


def score_tests(runs: PairedRuns) -> list[TaskResult]:
    """Score the test sets with every network that was trained, and return the verdicts that follow.

    Raises:
        KeyboardInterrupt: the user stopped it.
    """
    executor = runs.executor()
    try:
        for task, plan in runs.plans.items():
            trained = [cell for cell in plan.cells if (record := runs.record(cell)) and record["status"] == "fitted"]
            pairs = {cell.seed for cell in plan.cells if cell.labels["activation"] == runs.name and runs.record(cell)}
            wanted = [cell for cell in trained if cell.seed in pairs]
            if wanted:
                runs.run(executor, task, wanted, plan.tests_of(wanted[0]))
    finally:
        executor.close()
    return [result for task in runs.plans if (result := _result(runs, task)) is not None]


def _result(runs: PairedRuns, task: str) -> TaskResult | None:
    score = runs.score(task)
    validation, ended = runs.scores(task, runs.validation(task))
    if not any(ended.values()):
        return None
    looked = last_looks(validation, ended, runs.rule)
    by_validation = runs.compare(task, looked)
    scores, ended = runs.scores(task, lambda record: finite(metrics(record).get(score.name)))
    tested = last_looks(scores, ended, runs.rule)
    compared = runs.compare(task, tested)
    versus = []
    for other in runs.against:
        look = min(tested.number[runs.name], tested.number[other])
        one, seen = compared.get(other), by_validation.get(other)
        verdict = runs.verdict(task, other, one, look)
        why = runs.stop(task, other, looked, by_validation)
        interval = one is not None and one.interval is not None
        versus.append(
            Versus(
                other=other,
                word=str(verdict.word),
                reason="by less than the margin" if verdict.below_margin else verdict.reason,
                seeds=one.n if one else 0,
                difference=one.difference if one else None,
                half_width=one.half_width if one and interval else None,
                validation=seen.difference if seen else None,
                stop=f"look {look} of {len(runs.rule.looks)}" + (f", {why}" if why else "") if look else "",
            )
        )
    failed = {
        str(cell.seed): str(record["error"])
        for cell in runs.cells(task, runs.name)
        if (record := runs.record(cell)) and record["status"] == "failed"
    }
    by_seed = {name: {str(seed): value for seed, value in sorted(scores[name].items())} for name in scores}
    return TaskResult(task, score.label, score.unit, score.lower_is_better, tuple(versus), by_seed, failed)
