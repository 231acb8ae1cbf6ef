"""The whole of it: what is refused before anything is written, what is kept, and one try from end to end."""

import json
from pathlib import Path

import pytest

from lpflu_bench.cli import main
from lpflu_bench.errors import UserError
from lpflu_bench.judging.isolated import Examination
from lpflu_bench.judging.judge import judge
from lpflu_bench.judging.judgement import Judgement, Settings, earlier
from lpflu_bench.judging.page import write_page
from lpflu_bench.judging.subject import Subject

FILE = Path(__file__).with_name("functions_to_judge.py")


@pytest.mark.parametrize(
    ("function", "options", "says"),
    [
        ("missing.py:Bent", {}, r"there is no file .*missing.py"),
        (str(FILE), {}, r"which class or function of it\? write .*judge.py:NAME; it defines Bent, RenamedReLU, "),
        (f"{FILE}:", {}, r"which class or function of it\?"),
        ("lpflv", {}, r"'lpflv' is unknown; the nearest .*lpflu"),
        (lambda x: x, {}, r"cannot be imported by other processes"),
        (f"{FILE}:Bent", {"against": ["rellu"]}, r"'rellu' is unknown"),
        (f"{FILE}:Bent", {"tasks": ["clasification"]}, r"no such task; the nearest is classification"),
        (f"{FILE}:Bent", {"level": 2.0}, r"--level 2.0: it must be"),
        (f"{FILE}:Bent", {"data_roots": {"classification": "/nowhere"}}, r"--data.root .*=/nowhere: there is no such"),
        (f"{FILE}:Bent", {"data_roots": {"classification": str(FILE.parent)}}, r"train"),
        (
            f"{FILE}:Bent",
            {"data_roots": {"voc": "."}},
            r"--data.root voc=.: write TASK=DIR, with a task .*segmentation",
        ),
        (
            f"{FILE}:Bent",
            {"tasks": ["detection"], "data_roots": {"segmentation": "."}},
            r"a task that is tried: detect",
        ),
        ("relu", {"against": ["relu"]}, r"it is the function itself"),
    ],
)
def test_a_wrong_request_is_refused_and_leaves_nothing(tmp_path, function, options, says):
    with pytest.raises(UserError, match=says):
        judge(function, results=tmp_path / "results", runs=tmp_path / "runs", **options)
    assert list(tmp_path.iterdir()) == []


def test_another_try_of_the_name_is_not_overwritten(tmp_path):
    subject, settings = Subject("Bent", "my.py:Bent", "aa"), Settings()
    kept = Judgement(subject, settings, tmp_path, seconds=3.0)
    kept.write()
    assert (tmp_path / "try.json").read_text().startswith('{"verdict": "Bent: unfinished')
    assert earlier(tmp_path, subject, settings) == kept
    with pytest.raises(UserError, match=r"try.json is another try: the function's file has changed.*--overwrite"):
        earlier(tmp_path, Subject("Bent", "my.py:Bent", "bb"), settings)
    with pytest.raises(UserError, match=r"its margin was 1.0; pass --overwrite"):
        earlier(tmp_path, subject, Settings(margin=2.0))


def test_costs_of_a_busy_machine_are_marked(tmp_path):
    rows = [{"function": "Bent", "mode": "eager", "forward": 2.0, "forward+backward": 3.0, "kept": 1.0}]
    judgement = Judgement(
        Subject("Bent", "my.py:Bent"), Settings(), tmp_path, Examination(alone=rows, loads=[0.9, 1.0])
    )
    write_page(judgement)
    assert "cost: 3.00 x ReLU eager" in judgement.verdict
    assert "busy" not in judgement.page.read_text()
    assert "<dd>1 point</dd>" in judgement.page.read_text()
    judgement.examination.loads.append(4.2)
    write_page(judgement)
    assert "cost on a busy machine: 3.00 x ReLU eager" in judgement.verdict
    assert "Measured on a busy machine (load 4.2 per core)" in judgement.page.read_text()


@pytest.mark.slow
@pytest.mark.timeout(1800)  # ten trainings
def test_a_renamed_relu_is_equivalent_and_done_once(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = [
        "try",
        f"{FILE}:RenamedReLU",
        "--against",
        "relu",
        "--tasks",
        "classification",
        "--budget",
        "2h",
        "--json",
    ]
    assert main(command) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["word"] == "equivalent"
    assert "<!-- RenamedReLU: equivalent" in (tmp_path / "results/try/RenamedReLU/index.html").read_text()
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out) == answer
