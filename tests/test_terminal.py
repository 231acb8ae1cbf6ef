"""What commands print: every table fits 80 columns without a broken word, and the last line is the next command."""

import io
import shlex

import pandas as pd
import pytest
from rich.console import Console
from rich.table import Table
from synthetic_records import grid

from lpflu_bench.cli import COMMANDS, main
from lpflu_bench.commands.study import ACTIONS
from lpflu_bench.record_files import write_record
from lpflu_bench.terminal import next_command, text_table

SMOKE = ["--config", "tasks/demo/classification.yaml", "--config", "configs/smoke.yaml"]
STUDY = (
    "base: tasks/demo/classification.yaml\naxes: {activation: [relu, lpflu]}\nmetrics: top1_error\nreference: relu\n"
)


_PRINT = Console.print


def rendered(table, width):
    console = Console(width=width, file=io.StringIO())
    _PRINT(console, table)  # not the fixture's, which would take it for one more table of the command
    return console.file.getvalue()


def fits(table):
    """Whether a table of 80 columns has no longer line and every word of a wide one but the very long ones."""
    narrow, wide = rendered(table, 80), rendered(table, 1000)
    words = [word for word in wide.split() if any(map(str.isalnum, word))]
    assert max(map(len, narrow.splitlines())) <= 80
    assert [word for word in words if word not in narrow and len(word) <= 20] == []
    return True


@pytest.fixture
def tables(monkeypatch):
    """Every table that is printed."""
    found = []

    def spy(self, *objects, **options):
        found.extend(each for each in objects if isinstance(each, Table))
        _PRINT(self, *objects, **options)

    monkeypatch.setattr(Console, "print", spy)
    return found


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Runs a command in an empty folder and returns its last line."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        assert main([str(word) for word in words]) in (0, 1)
        return capsys.readouterr().out.strip().splitlines()[-1]

    return run


def is_command(line):
    """Whether a line names a command that exists, with one of its actions."""
    start, program, name, *rest = shlex.split(line)
    assert (start, program) == ("next:", "lpflu-bench")
    return name in COMMANDS and (name != "study" or rest[0] in ACTIONS)


def test_a_run_from_fit_to_report(command, tables, tmp_path):
    run = tmp_path / "runs" / "one"
    assert command("fit", *SMOKE, "--model.activation", "lpflu", "--run_dir", run) == next_command("test", run)
    assert command("validate", run) == next_command("test", run)
    assert command("predict", run) == next_command("deploy", run)
    assert command("test", run) == next_command("report", run.parent)
    assert command("report", run.parent, "--include", "partial") == next_command("deploy", run.parent)
    assert len(tables) == 3
    assert all(fits(table) for table in tables)
    assert "top-1 error (%)" in rendered(tables[1], 80)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("activations", 3),
        ("activations relu --plot a.png", 0),
        ("networks", 1),
        ("networks resnet8 --verify lpflu", 1),
        ("speed --functions relu --shape 2 4 8 8 --modes eager --dtypes float32 --repeats 1", 2),
    ],
)
def test_commands_about_functions_and_networks(command, tables, words, shown):
    assert is_command(command(*words.split()))
    assert len(tables) == shown
    assert all(fits(table) for table in tables)


def test_the_actions_of_a_study(command, tables, tmp_path):
    (tmp_path / "small.yaml").write_text(STUDY)
    said = {
        action: command("study", action, "small.yaml") for action in ("plan", "status", "verify", "clean", "report")
    }
    assert {action: line.removeprefix("next: lpflu-bench ") for action, line in said.items()} == {
        "plan": "study run small.yaml",
        "status": "study run small.yaml",
        "verify": "study report small.yaml",
        "clean": "study status small.yaml",
        "report": "study run small.yaml",
    }
    assert len(tables) == 1
    assert fits(tables[0])


def test_the_lock_of_a_dead_process_is_a_problem_that_clean_solves(command, tmp_path, capsys):
    (tmp_path / "small.yaml").write_text(STUDY)
    (tmp_path / "runs/small/locks").mkdir(parents=True)
    (tmp_path / "runs/small/locks/0123456789abcdef").touch()
    assert command("study", "verify", "small.yaml") == "next: lpflu-bench study clean small.yaml"
    assert command("study", "clean", "small.yaml", "--delete") == "next: lpflu-bench study status small.yaml"
    assert command("study", "verify", "small.yaml") == "next: lpflu-bench study report small.yaml"


def test_the_next_action_keeps_the_studys_options(command, tables, tmp_path):
    (tmp_path / "small.yaml").write_text(STUDY)
    options = ["--set", "trainer.max_epochs=2", "--seeds", "0", "--results", "a b", "--runs", "other"]
    assert command("study", "status", "small.yaml", *options) == (
        "next: lpflu-bench study run small.yaml --set trainer.max_epochs=2 --seeds 0 --results 'a b' --runs other"
    )


def test_a_report_of_many_scores_and_conditions(command, tables, tmp_path):
    for number, record in enumerate(grid(2, functions=["relu", "lpflu"])):
        test = record["tested"][0]
        test["conditions"] = {"data.test_corruption": {"name": "gaussian_noise", "severity": number + 1}}
        record["trained"]["class_names"] = None
        write_record(record, tmp_path / f"run{number}" / "record.json")
    command("report", tmp_path)
    assert len(tables) == 1
    assert fits(tables[0])


def test_the_demos_tables(tables):
    from lpflu_bench.commands.demo import print_summary

    row = {"task": "demo-detection", "activation": "lpflu", "seeds": 2, "images_per_second": 1234.5, "seconds": 100.0}
    scores = {f"{name}_{part}": 87.65 for name in ("map", "map_50", "map_75") for part in ("mean", "sd")}
    print_summary(pd.DataFrame([row | scores]))
    assert len(tables) == 1
    assert fits(tables[0])


def test_the_next_command_is_quoted_for_the_shell():
    assert next_command("study", "rerun", "a b.yaml") == "next: lpflu-bench study rerun 'a b.yaml'"


def test_a_table_that_breaks_a_number_is_noticed():
    """The check above can fail."""
    wide = text_table("t", [f"column{i}" for i in range(12)], [["1234567"] * 12])
    with pytest.raises(AssertionError):
        fits(wide)
