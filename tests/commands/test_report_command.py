import argparse
import json
import sys
from pathlib import Path

import pandas as pd
import pytest

from lpflu_bench.commands import report
from lpflu_bench.errors import UserError


def minimal(activation="lpflu", seed=0, task="cifar100", **metrics):
    return {
        "schema": 1,
        "status": "finished",
        "task": task,
        "network": "resnet18",
        "activation": activation,
        "seed": seed,
        "metrics": metrics or {"top1_error": 31.26},
        "train": {"images_per_second": 1234.5},
        "config": {"trainer": {"max_epochs": 80}},
    }


def write(folder, record):
    folder.mkdir(parents=True)
    (folder / "record.json").write_text(json.dumps(record))
    return folder


def run(*arguments):
    parser = argparse.ArgumentParser()
    report.add_arguments(parser)
    return report.run(parser.parse_args([str(argument) for argument in arguments]))


@pytest.fixture
def runs(tmp_path):
    write(tmp_path / "runs/cifar100/lpflu-seed0", minimal())
    write(tmp_path / "runs/cifar100/relu-seed0", minimal("relu") | {"metrics_averaged": {"top1_error": 30.0}})
    write(tmp_path / "runs/voc/lpflu-seed0", minimal(task="voc", map=20.5))
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
    assert len(report.load_records([runs, one, one / "record.json"])) == 3
    assert [item["task"] for item in report.load_records([one / "record.json"])] == ["cifar100"]


def test_faults_name_the_file(runs, tmp_path):
    broken = runs / "cifar100/lpflu-seed0/record.json"
    broken.write_text('{"schema": 1, "task": "cif')
    with pytest.raises(UserError, match=r"lpflu-seed0/record\.json"):
        run(runs)
    with pytest.raises(UserError, match=r"nowhere"):
        run(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no record\.json below"):
        run(tmp_path / "empty")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        run(runs / "voc", "--csv", tmp_path / "file" / "all.csv")


def test_the_module_imports_no_torch_or_pandas():
    code = "import sys, lpflu_bench.commands.report; sys.exit(any(m in sys.modules for m in ('torch', 'pandas')))"
    import subprocess

    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == 0
