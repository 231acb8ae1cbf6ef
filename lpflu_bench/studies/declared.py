"""How a study is judged, as it was declared when its first runs began: written once, before there is anything to see."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lpflu_bench.errors import UserError
from lpflu_bench.files import cannot_write, write_text_atomically
from lpflu_bench.inference.rule import MIN_SEEDS, Rule
from lpflu_bench.inference.sequential import default_looks
from lpflu_bench.studies.study import Study

FILE = "rule.json"


def _declaration(study: Study) -> dict[str, Any]:
    rule = asdict(study.rule)
    return {
        **rule,
        "looks": list(study.rule.looks),
        "seeds": list(study.seeds),
        "metrics": list(study.metrics),
        "reference": study.reference,
    }


def _read(folder: Path) -> dict[str, Any] | None:
    path = folder / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        Rule(content["level"], content["margin"], tuple(content["looks"]))
        tuple(content["seeds"]), tuple(content["metrics"]), str(content["reference"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: cannot be read ({error}); restore it, or delete it to declare the rule again"
        ) from error
    return dict(content)


def declare(study: Study, folder: Path) -> None:
    """Write how the study is judged, unless it is declared already.

    Raises:
        UserError: the folder cannot be written to.
    """
    if _read(folder) is not None:
        return
    try:
        write_text_atomically(folder / FILE, json.dumps(_declaration(study), indent=1) + "\n")
    except OSError as error:
        raise cannot_write(f"--results {folder}", error) from error


def changes(study: Study, folder: Path) -> str:
    """Return in words what was changed after the study was declared; nothing if nothing was."""
    declared = _read(folder)
    if declared is None:
        return ""
    now = _declaration(study)
    changed = [f"{key} {declared.get(key)} -> {value}" for key, value in now.items() if declared.get(key) != value]
    return f"Changed after the first runs: {'; '.join(changed)}." if changed else ""


def sequential(study: Study, folder: Path, max_seeds: int | None = None) -> Study:
    """Return the study with the looks and seeds of its sequential design, if it has one.

    Args:
        study: from its file.
        folder: of its results.
        max_seeds: declare one with at most this many seeds now; the study file's looks come first.

    Raises:
        UserError: another design was declared before, or ``max_seeds`` is too few.
    """
    declared = _read(folder)
    looks = tuple(declared["looks"]) if declared else study.rule.looks
    if max_seeds is not None:
        if max_seeds < MIN_SEEDS:
            raise UserError(f"--max-seeds {max_seeds}: a verdict takes at least {MIN_SEEDS} seeds")
        if declared and not looks:
            raise UserError(
                f"--max-seeds {max_seeds}: {study.name} was started with a fixed number of seeds, {len(declared['seeds'])}; "
                f"adding seeds after looking would not keep the significance level. Start over in another --results folder"
            )
        looks = looks or default_looks(max_seeds)
        if looks[-1] != max_seeds:
            raise UserError(f"--max-seeds {max_seeds}: {study.name} was declared with looks at {list(looks)} seeds")
    if not looks or study.rule.looks == looks:
        return study
    seeds = tuple(declared["seeds"]) if declared else tuple(range(looks[-1]))
    return replace(study, seeds=seeds, rule=replace(study.rule, looks=looks))
