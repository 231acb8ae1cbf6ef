"""The answer as one HTML page that needs nothing else."""

import functools
from pathlib import Path
from typing import Any

import jinja2
import matplotlib as mpl
from matplotlib.figure import Figure

import lpflu_bench
from lpflu_bench import environment
from lpflu_bench.files import write_text_atomically
from lpflu_bench.inference.sequential import default_looks
from lpflu_bench.judging.judgement import FILE, Judgement
from lpflu_bench.judging.rungs import TaskResult
from lpflu_bench.reports.drawing import STYLE, Drawing, svg_of
from lpflu_bench.reports.page import Picture
from lpflu_bench.text import duration


@functools.cache
def _template() -> jinja2.Template:
    here = Path(__file__).parent
    loader = jinja2.FileSystemLoader([here, here.parent / "reports"])
    settings: dict[str, Any] = {"trim_blocks": True, "lstrip_blocks": True, "undefined": jinja2.StrictUndefined}
    return jinja2.Environment(loader=loader, autoescape=True, **settings).get_template("answer.html")


def write_page(judgement: Judgement) -> None:
    """Write the page beside the JSON."""
    found, settings = judgement.examination, judgement.settings
    html = _template().render(
        judgement=judgement,
        word=judgement.word,
        settings=settings,
        looks=default_looks(settings.max_seeds),
        findings=found.findings if found else [],
        picture=_picture(judgement) if found and found.curve else None,
        alone=found.alone if found else [],
        network=found.network if found else [],
        busy=found.busy if found else "",
        tasks=[(task, _reach(task, settings.margin)) for task in judgement.tasks],
        spent=duration(judgement.seconds),
        version=lpflu_bench.__version__,
        device=environment.cpu_model(),
        json_file=FILE,
    )
    write_text_atomically(judgement.page, html)


def _reach(task: TaskResult, margin: float) -> float:
    """Return the half width of the axis on which differences are drawn."""
    ends = [abs(one.difference) + (one.half_width or 0.0) for one in task.versus if one.difference is not None]
    return 1.08 * max([margin, *ends])


def _picture(judgement: Judgement) -> Picture:
    assert judgement.examination is not None
    x, y, slope = judgement.examination.curve
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.2))
        axes = figure.subplots(1, 2)
        for axis, values, title in zip(axes, (y, slope), ("f(x)", "f′(x)"), strict=True):
            axis.plot(x, values, linewidth=2.2, color="#0f7fc4")
            axis.axhline(0, color="#808080", linewidth=0.6)
            axis.axvline(0, color="#808080", linewidth=0.6)
            axis.set_title(title)
        drawing = Drawing("curve", "curves", "The function and its derivative", "", figure)
        return Picture(drawing, svg_of(drawing))
