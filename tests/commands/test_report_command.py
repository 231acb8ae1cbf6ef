import argparse
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
from synthetic_records import detection, record, result_of_test

from lpflu_bench.commands import report
from lpflu_bench.errors import UserError
from lpflu_bench.record_files import write_record


def write(folder, record):
    write_record(record, folder / "record.json")
    return folder


def run(*arguments):
    parser = argparse.ArgumentParser()
    report.add_arguments(parser)
    return report.run(parser.parse_args([str(argument) for argument in arguments]))


@pytest.fixture
def runs(tmp_path):
    averaged = record("relu", 0, 31.0)
    averaged["tested"].append(result_of_test({"top1_error": 30.0}, weights="averaged"))
    write(tmp_path / "runs/cifar100/lpflu-seed0", record("lpflu", 0, 31.26))
    write(tmp_path / "runs/cifar100/relu-seed0", averaged)
    write(tmp_path / "runs/voc/lpflu-seed0", detection("lpflu", 0, 20.5))
    return tmp_path / "runs"


def test_prints_a_table_for_each_task_and_writes_csv(runs, tmp_path, capsys):
    file = tmp_path / "new" / "all.csv"
    assert run(runs, "--csv", file) == 0
    printed = capsys.readouterr().out
    assert printed.index("cifar100") < printed.index("voc")
    assert "31.26" in printed
    assert "averaged" in printed
    frame = pd.read_csv(file)
    assert len(frame) == 4
    assert frame["config.trainer.max_epochs"].tolist() == [80] * 4


def test_folders_files_and_run_folders_name_each_run_once(runs):
    one = runs / "cifar100/lpflu-seed0"
    assert len(report.load_records([runs, one, one / "record.json"])[0]) == 3
    found, problems = report.load_records([one / "record.json"])
    assert [item["trained"]["task"] for item in found.values()] == ["cifar100"]
    assert problems == []


def test_faults_name_the_file(runs, tmp_path):
    with pytest.raises(UserError, match=r"nowhere"):
        run(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no record\.json below"):
        run(tmp_path / "empty")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        run(runs / "voc", "--csv", tmp_path / "file" / "all.csv")


def test_a_record_that_cannot_be_used_is_set_aside_by_name_and_blocks_nothing(runs, tmp_path, capsys):
    (runs / "cifar100/lpflu-seed0/record.json").write_text('{"schema": 2, "trained": {"task": "cif')
    shutil.copytree(runs / "voc/lpflu-seed0", runs / "voc/lpflu-seed1")
    assert run(runs) == 0
    printed = capsys.readouterr().out
    assert "set aside" in printed
    assert "cifar100/lpflu-seed0/record.json is not a record: invalid JSON" in printed
    assert "voc/lpflu-seed1/record.json is a copy of" in printed
    assert printed.count("20.50") == 1


def test_only_finished_runs_are_in_the_table_unless_partial_ones_are_asked_for(runs, capsys):
    part = record("gish", 0, 77.77) | {"status": "partial"}
    part["trained"]["incomplete"] = "3 of 80 epochs"
    write(runs / "cifar100/gish-seed0", part)
    write(runs / "cifar100/smu-seed0", record("smu", 0, 66.66) | {"status": "interrupted", "tested": []})
    assert run(runs) == 0
    printed = capsys.readouterr().out
    assert "77.77" not in printed
    assert "gish-seed0/record.json: partial (3 of 80 epochs)" in printed
    assert "smu-seed0/record.json: interrupted" in printed
    assert run(runs, "--include", "partial") == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "77.77" in line]
    assert "partial" in line


def test_runs_of_different_sources_are_said_so_all_of_them(runs, capsys):
    run(runs)
    assert "different sources" not in capsys.readouterr().out
    for number in range(4):
        other = record("relu", number + 5, 31.0)
        other["trained"]["code"] = {"package": f"{number}" * 32, "commit": None, "activation": None}
        write(runs / f"cifar100/relu-seed{number + 5}", other)
    run(runs)
    printed = " ".join(capsys.readouterr().out.split())
    assert "runs of 5 different sources" in printed
    assert all(f"{number}" * 10 in printed for number in range(4))


def test_two_commits_with_the_same_package_are_one_source(runs, capsys):
    for seed, commit in ((5, "a" * 40), (6, "b" * 40)):
        other = record("relu", seed, 31.0)
        other["trained"]["code"] = other["tested"][0]["code"] = {
            "package": "f" * 32,
            "commit": commit,
            "activation": None,
        }
        write(runs / f"cifar100/relu-seed{seed}", other)
    run(runs)
    printed = " ".join(capsys.readouterr().out.split())
    assert "runs of 2 different sources" in printed
    assert f"{'a' * 10}/{'b' * 10} {'f' * 10}" in printed


def test_the_module_imports_no_torch_or_pandas():
    code = "import sys, lpflu_bench.commands.report; sys.exit(any(m in sys.modules for m in ('torch', 'pandas')))"
    import subprocess

    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == 0
