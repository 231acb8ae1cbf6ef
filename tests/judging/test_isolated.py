"""A function that ends its process, or hangs, costs its own check alone."""

import json
import sys
from pathlib import Path

import pytest

from lpflu_bench.errors import UserError
from lpflu_bench.judging import isolated
from lpflu_bench.judging.isolated import examination_from_dict, examine

FILE = Path(__file__).with_name("functions_to_judge.py")


# Speaks as the real one does, without PyTorch: dies, hangs or swells where its request's spec says so.
STAND_IN = """
import json, os, sys, time
request = json.loads(sys.stdin.readline())
for step in ("load", "shape", "float16", "curve", "cost in a compiled network"):
    if step in request["done"] and step != "load":
        continue
    print(json.dumps({"step": step}), flush=True)
    if request["spec"] == f"refuses {step}":
        print(json.dumps({"refused": "no such name"}), flush=True)
    if request["spec"] == f"dies {step}":
        os.abort()
    if request["spec"] == f"hangs {step}":
        time.sleep(60)
    if request["spec"] == f"swells {step}":
        held = bytearray(300 << 20)
        time.sleep(60)
    finding = {"check": step, "outcome": "passed", "text": "", "reproduce": "", "fatal": False}
    print(json.dumps({"finding": finding}), flush=True)
    if step == request["last"]:
        break
print(json.dumps({"step": ""}), flush=True)
"""


@pytest.fixture
def stand_in(monkeypatch):
    monkeypatch.setattr(isolated, "COMMAND", (sys.executable, "-c", STAND_IN))


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("dies float16", "its process ended by SIGABRT in this check"),
        ("hangs float16", "no answer for 2 s: it hangs in this check"),
        ("swells float16", "its process held more than 0.2 GB in this check"),
    ],
)
def test_what_ends_in_one_check_is_examined_in_all_others(stand_in, spec, says):
    found = examine(spec, {}, step_seconds=2 if "hangs" in spec else 60, memory_bytes=200 << 20, last="curve")
    assert [(one.check, str(one.outcome)) for one in found.findings] == [
        ("load", "passed"),
        ("shape", "passed"),
        ("float16", "failed"),
        ("load", "passed"),
        ("curve", "passed"),
    ]
    assert found.findings[2].text == says
    assert found.fatal is None


def test_what_dies_of_any_input_is_not_examined_further(stand_in):
    found = examine("dies shape", {})
    assert found.fatal is found.findings[-1]


def test_compiled_networks_are_left_out_of_a_small_budget_and_given_no_more_than_a_large_one_allows(
    stand_in, monkeypatch
):
    step = "cost in a compiled network"
    (small,) = [one for one in examine("good", {}, compile_seconds=60).findings if one.check == step]
    assert small.outcome == "noted"
    assert small.text.endswith("the budget allows 60 s")
    monkeypatch.setattr(isolated, "COMPILE_SECONDS", 1)
    (late,) = [one for one in examine(f"hangs {step}", {}, compile_seconds=1).findings if one.check == step]
    assert (str(late.outcome), late.text) == ("noted", "not measured: compiling took more than 1 s")
    (large,) = [one for one in examine("good", {}, compile_seconds=120).findings if one.check == step]
    assert large.outcome == "passed"


def test_what_cannot_be_imported_is_refused(stand_in):
    with pytest.raises(UserError, match="no such name"):
        examine("refuses load", {})


@pytest.mark.slow
def test_a_function_that_aborts_in_one_check_is_examined_in_all_others():
    found = examine(f"{FILE}:FailsInHalf", {}, last="gradcheck")
    by_check = {one.check: one for one in found.findings}
    assert by_check["float16"].text.startswith("its process ended by SIGABRT in this check")
    assert not by_check["float16"].fatal
    assert by_check["float64"].outcome == "passed"
    assert by_check["gradcheck"].outcome == "passed"
    assert examination_from_dict(json.loads(json.dumps(found.as_dict()))) == found


@pytest.mark.slow
def test_a_function_that_hangs_is_stopped():
    found = examine(f"{FILE}:Hangs", {}, step_seconds=10, last="empty")
    by_check = {one.check: one for one in found.findings}
    assert "no answer for 10 s: it hangs" in by_check["autocast"].text
    assert by_check["empty"].outcome == "passed"


@pytest.mark.slow
def test_a_function_that_eats_memory_is_stopped():
    found = examine(f"{FILE}:Bent", {}, memory_bytes=1 << 20)
    assert "held more than 0.0 GB" in found.fatal.text


@pytest.mark.slow
def test_a_missing_name_is_refused():
    with pytest.raises(UserError, match="has no 'Missing'"):
        examine(f"{FILE}:Missing", {})
