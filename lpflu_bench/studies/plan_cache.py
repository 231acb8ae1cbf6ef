"""A study's plan, kept in a file while nothing that it depends on changes."""

import contextlib
import hashlib
import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lpflu_bench.errors import UserError
from lpflu_bench.files import write_text_atomically
from lpflu_bench.inference.rule import Rule
from lpflu_bench.paths import resource_path
from lpflu_bench.scores import Score
from lpflu_bench.studies.cell import PlannedTest
from lpflu_bench.studies.grid import make_plan
from lpflu_bench.studies.plan import Cell, Plan
from lpflu_bench.studies.study import Study


def _fingerprint(study: Study, embedded: frozenset[str]) -> str:
    """Return a hash of what a plan depends on: the study, its files, this package's source, torch and Lightning."""
    from importlib.metadata import PackageNotFoundError, version

    parts: list[Any] = [repr(study), sorted(embedded)]
    files = [*study.bases, *study.overlays]
    for axis in [*study.axes, *([study.tuning.axis] if study.tuning else [])]:
        files += [value.settings["config"] for value in axis.values if "config" in value.settings]
    parts += [resource_path(file).read_text(encoding="utf-8") for file in files]
    package = Path(__file__).resolve().parents[1]
    for folder, _, names in sorted(os.walk(package)):
        for name in sorted(names):
            if name.endswith(".py"):
                stat = Path(folder, name).stat()
                parts.append((folder, name, stat.st_mtime_ns, stat.st_size))
    for name in ("torch", "pytorch-lightning", "jsonargparse"):
        try:
            parts.append(version(name))
        except PackageNotFoundError:
            parts.append(None)
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()


def load_plan(study: Study, cache: Path, embedded: frozenset[str] = frozenset()) -> Plan:
    """Return the study's plan; from ``cache`` if nothing it depends on has changed, for importing torch costs seconds.

    Raises:
        UserError: as :func:`make_plan`, or a margin of the study's rule is as large as a score's range.
    """
    plan = _kept_or_made(study, cache, embedded)
    try:
        study.rule.check(plan.scores)
    except UserError as error:
        raise UserError(f"study {study.name}: inference.{error}") from error
    return plan


def _kept_or_made(study: Study, cache: Path, embedded: frozenset[str]) -> Plan:
    for name, files in (("base", study.bases), ("overlays", study.overlays)):
        for file in files:
            try:
                resource_path(file)
            except UserError as error:
                raise UserError(f"study {study.name}: {name}: {error}") from error
    key = _fingerprint(replace(study, only={}, rule=Rule()), embedded)
    try:
        kept = json.loads(cache.read_text(encoding="utf-8"))
        if kept["key"] == key:
            templates = tuple({tuple(path): value for path, value in flat} for flat in kept["templates"])
            scores = tuple(Score(**fields) for fields in kept["scores"])
            tests = tuple(tuple(PlannedTest(**fields) for fields in group) for group in kept["tests"])
            return Plan(tuple(Cell(*fields) for fields in kept["cells"]), templates, scores, tests)
    except (OSError, ValueError, KeyError, TypeError):
        pass  # none yet, or of another version
    from lpflu_bench.studies.resolve import Resolver

    plan = make_plan(study, Resolver(), embedded)
    content = {
        "key": key,
        "templates": [list(flat.items()) for flat in plan.templates],
        "scores": [asdict(score) for score in plan.scores],
        "tests": [[vars(test) for test in group] for group in plan.tests],
        "cells": [[c.hash, dict(c.labels), c.template, c.seed, c.stage, c.choice] for c in plan.cells],
    }
    with contextlib.suppress(OSError):  # a read-only or full disk: next time it is made again
        write_text_atomically(cache, json.dumps(content))
    return plan
