"""Validate every cell and say what the study is made of and what it can show."""

import argparse

from lpflu_bench.commands.study.session import Session, say, suggest
from lpflu_bench.errors import UserError


def _sd(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number above 0, not {text}")
    return value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the option that the power is computed from."""
    parser.add_argument(
        "--sd",
        type=_sd,
        help="standard deviation over seeds of a difference between two functions, in the main score's unit; "
        "default: that of the runs so far",
    )


def execute(session: Session, args: argparse.Namespace) -> int:
    """Print it."""
    from lpflu_bench.studies.plan import TUNE
    from lpflu_bench.text import setting_text

    study, cells = session.study, session.cells
    say(f"{study.name}: {study.title}")
    tuning = [cell for cell in cells if cell.stage == TUNE]
    final = {(cell.group, cell.seed) for cell in cells if cell.stage != TUNE}
    first = f"{len(tuning)} to choose {study.tuning.axis.name}, then " if study.tuning else ""
    say(f"{len(tuning) + len(final)} cells: {first}{len(final)} runs; every configuration is valid")
    names = dict.fromkeys(name for cell in cells for name in cell.labels if name not in ("study", "stage"))
    for name in names:
        values = dict.fromkeys(setting_text(cell.labels[name]) for cell in cells if name in cell.labels)
        say(f"  {name} ({len(values)}): {', '.join(values)}")
    for axis in study.tests:
        labels = [setting_text(value.label) for value in axis.values]
        kept = [label for label in labels if label in study.only.get(axis.name, labels)]
        say(f"  tested under {axis.name} ({len(kept)}): {', '.join(kept)}")
    if study.tuning:
        say(f"  tuned: {study.tuning.axis.name}: {', '.join(setting_text(v.label) for v in study.tuning.axis.values)}")
    say(f"  metrics: {', '.join(f'{score.name} ({score.direction} is better)' for score in session.plan.scores)}")
    say(
        f"  reference: {study.reference}"
        + (f"; compared with results/published/{study.published}" if study.published else "")
    )
    _say_power(session, args.sd)
    _say_time(session)
    suggest(args, "run")
    return 0


def _say_power(session: Session, sd: float | None) -> None:
    """Say what the planned seeds can show, from a given sd or from that of the runs so far."""
    from lpflu_bench.reports.power import pilot_noise, power_lines

    study = session.study
    family = len(study.axis("activation").values) - 1
    seeds = len(study.seeds)
    if study.rule.looks:
        say(f"  looks at {', '.join(map(str, study.rule.looks))} seeds; adding seeds stops as soon as all is decided")
    if seeds < 2 or not family:
        say("  one seed or one function supports no claim about functions: at least 3 seeds are needed for a verdict")
        return
    main = study.metrics[0]
    given = {"": (sd, main, f"sd of a difference {sd:g}")} if sd else {}
    if not given and session.store.records():
        try:
            noise = pilot_noise(session.analysis())
        except UserError:  # the reference has not run yet
            noise = {}
        given = {
            place: (value, name, f"{place}, {label}: noise of a difference so far {value:.2f}")
            for place, (value, name, label) in noise.items()
        }
    for value, name, words in given.values():
        say(f"  {words}")
        for line in power_lines(study.rule, seeds, family, value, study.rule.margin_of(name)):
            say(f"    {line}")
    if not given:
        say("  in standard deviations over seeds of a difference between two functions (`--sd` gives it in points):")
        for line in power_lines(study.rule, seeds, family, 1.0, None)[:2]:
            say(f"    {line}")


def _say_time(session: Session) -> None:
    """Say how long the runs that are left will take, if earlier ones tell."""
    from lpflu_bench.studies.progress import Durations
    from lpflu_bench.text import duration

    records = session.records()
    left = [c for c in session.cells if c.hash not in records or records[c.hash]["status"] != "finished"]
    expected = Durations(records.values()).expect(left)
    if left and expected is not None:
        say(f"  {len(left)} trainings left, about {duration(expected)} if run one at a time")
