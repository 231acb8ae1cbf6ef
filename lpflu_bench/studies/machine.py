"""What a study takes from the machine it runs on: the data's folders, and its signals."""

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lpflu_bench.errors import UserError
from lpflu_bench.studies.plan import EMBEDDED, ROOT_KEY, Cell, Plan


def data_roots(options: Sequence[str], tasks: Sequence[str]) -> dict[str, str]:
    """Return task -> folder from ``--data.root DIR`` or ``--data.root TASK=DIR``; ``embedded`` is for all tasks.

    Raises:
        UserError: a folder without a task where there are several.
    """
    roots: dict[str, str] = {}
    for option in options:
        task, equals, folder = option.partition("=")
        if equals and task in tasks:
            roots[task] = folder
        elif option == EMBEDDED or len(tasks) == 1:
            roots.update(dict.fromkeys(tasks, option))
        else:
            raise UserError(f"--data.root {option}: write TASK=DIR with one of this study's tasks: {', '.join(tasks)}")
    return roots


def for_this_machine(config: dict[str, Any], roots: Mapping[str, str]) -> dict[str, Any]:
    """Return a configuration with its task's data folder, as an absolute path (workers may be anywhere), and no bar."""
    data = dict(config["data"])
    folder = roots.get(config["task"], data.get("init_args", {}).get("root"))
    if folder is not None and folder != EMBEDDED:
        folder = str(Path(folder).expanduser().absolute())
    data["init_args"] = {**data.get("init_args", {}), "root": folder}
    return {**config, "data": data, "trainer": {**config.get("trainer", {}), "enable_progress_bar": False}}


def check_roots(plan: Plan, cells: Sequence[Cell], roots: Mapping[str, str]) -> None:
    """Look whether the data's folders are there, before any cell fails for it.

    Raises:
        UserError: names the task that has none.
    """
    for task in dict.fromkeys(str(cell.labels["task"]) for cell in cells):
        template = plan.templates[next(cell.template for cell in cells if cell.labels["task"] == task)]
        root = roots.get(task, template.get(ROOT_KEY))
        if root != EMBEDDED and (root is None or not Path(root).expanduser().is_dir()):
            raise UserError(
                f"the data of task {task}: there is no folder {root}; pass --data.root DIR "
                "(--data.root TASK=DIR in a study of several tasks, --data.root embedded for the demo set)"
            )


@contextmanager
def terminate_as_interrupt() -> Iterator[None]:
    """Treat SIGTERM (sent by job schedulers before termination) as an interrupt."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    earlier = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, earlier)
