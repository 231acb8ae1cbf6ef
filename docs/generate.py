"""Pages of the site that are made from the repository: functions, commands, studies, results, how to contribute.

A hook of mkdocs (``hooks:`` in mkdocs.yml). The pages exist while the site is built only, so they cannot drift from the code.
"""

import csv
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from lpflu_bench.activations.catalogue import COMPARED, ENTRIES
from lpflu_bench.activations.entry import Entry

ROOT = Path(__file__).resolve().parent.parent
_GROUPS = {"paper": "Named in the LPFLU paper", "recent": "Recent and other functions"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for name, content in _pages():
        if (existing := files.get_file_from_path(name)) is not None:
            files.remove(existing)
        files.append(File.generated(config, name, content=content))
    return files


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Show the docstrings' Sphinx roles as plain code."""
    return re.sub(r":(?:class|func|meth|mod|data|attr|exc):<code>~?", "<code>", html)


def _pages() -> Iterator[tuple[str, str | bytes]]:
    cost = _cost()
    for entry in ENTRIES.values():
        yield f"reference/functions/{entry.name}.md", _function(entry, cost.get(entry.name, {}))
        yield f"reference/functions/{entry.name}.svg", _picture(entry.name)
    yield "reference/functions/index.md", _functions()
    yield "reference/conformance.md", (ROOT / "results/conformance/README.md").read_text("utf-8")
    yield "reference/commands.md", _commands()
    yield (
        "reference/studies.md",
        (ROOT / "configs/studies/README.md").read_text("utf-8").replace("# Studies", "# Study files", 1),
    )
    yield "contributing.md", (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    yield "results.md", _results()
    yield from _gallery()
    for name in ("inference/error.png", "pictures/functions.png"):
        yield f"pictures/{Path(name).name}", (ROOT / "results" / name).read_bytes()
    for path in _intervals():
        yield f"pictures/{_picture_name(path)}", path.read_bytes()


# --- functions -------------------------------------------------------------------------------------------------------


def _cost() -> dict[str, dict[tuple[str, str], float]]:
    """Time over ReLU's of each function, by mode and pass, as measured in results/speed/cpu.csv (float32)."""
    found: dict[str, dict[tuple[str, str], float]] = {}
    with (ROOT / "results/speed/cpu.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["dtype"] == "float32" and row["function"] != "copy":
                found.setdefault(row["function"], {})[row["mode"], row["pass"]] = float(row["ratio_to_relu"])
    return found


def _function(entry: Entry, cost: dict[tuple[str, str], float]) -> str:
    path = entry.target.replace(":", ".")
    facts = {
        "Formula": f"`{entry.formula}`",
        "Parameters": entry.parameters or "none",
        "Trained": entry.trained or "nothing",
        "Training and evaluation": entry.train_eval or "the same",
        "Source": entry.source,
    }
    if entry.smooth_relu:
        facts["Leaky form"] = f"`leaky_{entry.name}`: (1 - a) S(x) + a x, with the slope of [LPFLU](lpflu.md)"
    lines = [f"# {entry.name}", "", f"![{entry.name} and its derivative]({entry.name}.svg)", "", "| | |", "|---|---|"]
    lines += [f"| {title} | {_cell(text)} |" for title, text in facts.items()]
    if cost:
        lines += ["", "## Cost", "", "Time over ReLU's in the same round, float32, two CPU threads, 26 M elements:", ""]
        lines += ["| | forward | forward and backward |", "|---|---|---|"]
        for mode, title in (("eager", "the formula, operation by operation"), ("fused", "this package's kernels")):
            times = [cost.get((mode, part)) for part in ("forward", "forward+backward")]
            lines.append(f"| {title} | " + " | ".join("" if t is None else f"{t:.2f}" for t in times) + " |")
    lines += ["", "## Module", "", f"::: {path}", "    options:", "      members: false", "      heading_level: 3", ""]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "&#124;").replace("\n", "<br>")


def _functions() -> str:
    lines = [
        "# Functions",
        "",
        "`s` is the logistic sigmoid, `Phi` the standard normal distribution function. What each does under torch.fx, export,",
        "ONNX, FSDP2, quantization and half precision: [conformance matrix](../conformance.md).",
    ]
    groups: dict[str, list[Entry]] = {"Compared in the LPFLU paper": [ENTRIES[name] for name in COMPARED]}
    for entry in ENTRIES.values():
        if entry.name not in COMPARED:
            groups.setdefault(_GROUPS[entry.group], []).append(entry)
    for title, entries in groups.items():
        lines += ["", f"## {title}", "", "| function | formula | source |", "|---|---|---|"]
        lines += [f"| [{e.name}]({e.name}.md) | `{_cell(e.formula)}` | {_cell(e.source)} |" for e in entries]
    return "\n".join([*lines, ""])


def _picture(name: str) -> bytes:
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = name
    from matplotlib import pyplot as plt

    from lpflu_bench.activations.plot import curve

    x, y, slope = curve(name)
    figure, axes = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
    for axis, values, title in zip(axes, (y, slope), ("f(x)", "f′(x)"), strict=True):
        axis.axhline(0, color="0.75", linewidth=0.8)
        axis.axvline(0, color="0.75", linewidth=0.8)
        axis.plot(x, values, color="#3949ab", linewidth=2)
        axis.set_title(title)
        axis.set_xlabel("x")
        axis.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    plt.close(figure)
    return buffer.getvalue()


# --- commands, results -----------------------------------------------------------------------------------------------


def _help(*arguments: str) -> str:
    command = [sys.executable, "-m", "lpflu_bench.cli", *arguments, "--help"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}
    )
    return done.stdout.rstrip()


def _commands() -> str:
    from lpflu_bench.cli import COMMANDS

    lines = ["# Commands", "", "What `lpflu-bench COMMAND --help` prints."]
    for name, summary in COMMANDS.items():
        lines += ["", f"## {name}", "", summary[0].upper() + summary[1:] + ".", "", "```text", _help(name), "```"]
    return "\n".join([*lines, ""])


def _results() -> str:
    lines = ["# Results", "", "Made from the files under `results/` when this site is built.", ""]
    answers = (ROOT / "results" / "README.md").read_text("utf-8")
    lines += [*_without_title(answers), ""]
    declared = re.findall(r"\]\(([^/)]+)/table\.md\)", answers)
    # what was not declared is no claim: last
    others = {table.parent.name for table in (ROOT / "results").glob("*/table.md")} - {*declared}
    for study in [*declared, *sorted(others)]:
        table = ROOT / "results" / study / "table.md"
        markdown = table.read_text("utf-8")
        lines += [f"## {markdown.splitlines()[0].removeprefix('# ')}", ""]
        lines += [
            f"![Intervals](pictures/{_picture_name(path)})" for path in _intervals() if table.parent in path.parents
        ]
        decided = markdown.partition("\n## What is decided\n")[2].partition("\n## ")[0]
        lines += ["", decided.strip(), "", f"[The report](gallery/{study}.html)", ""]
    swap = (ROOT / "results" / "swap" / "README.md").read_text("utf-8")
    return "\n".join([*lines, "## The swap in other networks", "", *_without_title(swap), ""])


def _intervals() -> list[Path]:
    return sorted((ROOT / "results").glob("*/figures/intervals-*.png"))


def _picture_name(path: Path) -> str:
    return f"{path.parts[-3]}-{path.name}"


def _gallery() -> Iterator[tuple[str, str | bytes]]:
    """The pages that the suite itself writes: committed studies' reports, and a data check made now."""
    lines = ["# Gallery", "", "Pages as the suite writes them, each one file that opens without a network.", ""]
    for report in sorted((ROOT / "results").glob("*/index.html")):
        study = report.parent.name
        title = re.search(r"<title>(.+?)</title>", report.read_text("utf-8"))
        lines.append(f"- [{title[1] if title else study}](gallery/{study}.html): `lpflu-bench study report {study}`")
        yield f"gallery/{study}.html", report.read_bytes()
    check = ("data", "check", "voc", "--data.root", "embedded", "--data.classes", "[circle, square, triangle]")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "lpflu_bench.cli", *check, "--out", folder]
        subprocess.run(command, check=True, capture_output=True)
        yield "gallery/data-check.html", (Path(folder) / "index.html").read_bytes()
    lines.append(f"- [A data check of boxes](gallery/data-check.html): `lpflu-bench {shlex.join(check)}`")
    yield "gallery.md", "\n".join([*lines, ""])


def _without_title(markdown: str) -> list[str]:
    """The lines of a file of the repository: one heading level deeper, its links to other files as plain text."""
    kept = []
    for line in markdown.splitlines():
        if line.startswith("# "):
            continue
        line = re.sub(r"!\[[^]]*\]\([^)]*\)", "", line)
        line = re.sub(r"\[([^]]+)\]\((?!https?:)[^)]*\)", r"\1", line)
        kept.append(f"#{line}" if line.startswith("#") else line)
    return kept
