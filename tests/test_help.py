"""Help that is read and completed: sections, 80 columns, options that exist."""

import subprocess
import sys

import pytest
import yaml

from lpflu_bench.cli import COMMANDS, main
from lpflu_bench.commands.run_options import USAGES, options
from lpflu_bench.commands.study import ACTIONS

RECIPE = ["--config", "tasks/demo/classification.yaml"]
HELPS = [*([name] for name in COMMANDS), *(["study", action] for action in ACTIONS), ["data", "check"], []]


def help_of(capsys, *words):
    with pytest.raises(SystemExit) as end:
        main([*words, "--help"])
    assert end.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("words", HELPS, ids=" ".join)
def test_help_fits_80_columns(words, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    assert [line for line in help_of(capsys, *words).splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("command", USAGES)
def test_the_short_help_is_short_and_names_the_long_one(command, capsys):
    text = help_of(capsys, command)
    assert len(text.splitlines()) < 75
    assert f"lpflu-bench {command} --help all" in text
    assert all(option in text for option in options(command))


def test_the_long_help_is_lightnings(monkeypatch):
    seen = []
    monkeypatch.setattr("lpflu_bench.training.lightning_cli.run", lambda arguments: seen.append(arguments) or 0)
    assert main(["fit", "--help", "all"]) == 0
    assert seen == [["fit", "--help"]]


@pytest.mark.parametrize("command", ["fit", "test", "predict"])
def test_every_option_of_the_short_help_exists(command, capsys):
    """Each is a key of the configuration that the command prints, or of a part of it that is not set."""
    with pytest.raises(SystemExit):
        main([command, *RECIPE, "--print_config"])
    config = yaml.safe_load(capsys.readouterr().out)
    elsewhere = {"--config", "--print_config", "--model.architecture"}
    for option in set(options(command)) - elsewhere:
        part = config
        for key in option.removeprefix("--").split("."):
            if part is None:
                break  # a part such as the test's corruption, whose own keys show once it is set
            part = part["init_args"] if "init_args" in part and key not in part else part
            assert key in part, option
            part = part[key]


def complete(script, *words):
    """Return what bash offers for the last word."""
    line = " ".join(f"'{word}'" for word in words)
    ask = (
        f"source {script}; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _shtab_lpflu_bench; echo ${{COMPREPLY[@]}}"
    )
    return subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True, timeout=60).stdout.split()


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("completion") / "lpflu-bench.bash"
    printed = subprocess.run(
        [sys.executable, "-m", "lpflu_bench", "--print-completion", "bash"], capture_output=True, text=True, timeout=120
    )
    assert printed.returncode == 0, printed.stderr
    path.write_text(printed.stdout)
    return path


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("lpflu-bench", "de"), {"demo", "deploy"}),
        (("lpflu-bench", "study", "r"), {"run", "report", "rerun"}),
        (("lpflu-bench", "fit", "--model.ac"), {"--model.activation"}),
        (("lpflu-bench", "test", "--data.test_co"), {"--data.test_corruption.name", "--data.test_corruption.severity"}),
        (("lpflu-bench", "study", "run", "--gpus"), {"--gpus-per-cell"}),
        (("lpflu-bench", "deploy", "--rep"), {"--repeats"}),
    ],
)
def test_bash_completes_commands_and_options(script, words, offered):
    assert set(complete(script, *words)) == offered


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_has_every_command(shell, capsys):
    with pytest.raises(SystemExit) as end:
        main(["--print-completion", shell])
    assert end.value.code == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in COMMANDS)
