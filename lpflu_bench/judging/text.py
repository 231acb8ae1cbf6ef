"""The answer on a terminal: the verdict in the first line, then what is behind it."""

from rich import box
from rich.console import Console
from rich.table import Table

from lpflu_bench.judging.findings import Outcome
from lpflu_bench.judging.judgement import Judgement
from lpflu_bench.text import duration


def print_summary(judgement: Judgement) -> None:
    """Print it."""
    console = Console(highlight=False, markup=False)
    console.print(judgement.verdict, soft_wrap=True)
    found = judgement.examination
    if found is not None:
        console.print()
        for one in found.findings:
            if one.outcome != Outcome.PASSED:
                console.print(f"  {one.check}: {one.text}", soft_wrap=True)
            if one.reproduce:
                console.print(f"    reproduce: {one.reproduce}", soft_wrap=True)
        passed = [one.check for one in found.findings if one.outcome == Outcome.PASSED]
        if found.busy:
            console.print(f"  cost: {found.busy}", soft_wrap=True)
        console.print(f"  passed: {', '.join(passed) or 'none'}")
    if judgement.tasks:
        table = Table("task", "against", "verdict", box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in ("seeds", "difference", "interval"):
            table.add_column(heading, justify="right")
        for task in judgement.tasks:
            for versus in task.versus:
                difference = "" if versus.difference is None else f"{versus.difference:+.2f}"
                interval = ""
                if versus.difference is not None and versus.half_width is not None:
                    interval = (
                        f"[{versus.difference - versus.half_width:+.2f}, {versus.difference + versus.half_width:+.2f}]"
                    )
                table.add_row(
                    f"{task.task}: {task.score}", versus.other, versus.word, str(versus.seeds), difference, interval
                )
        console.print(table)
    if judgement.stopped:
        console.print(judgement.stopped, soft_wrap=True)
    console.print(f"{duration(judgement.seconds)}; page: {judgement.page}", soft_wrap=True)
