"""Examine a function in a process that may crash, hang or eat memory: each of these is a finding."""

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Any

import psutil

from lpflu_bench.environment import busy_note
from lpflu_bench.errors import UserError, one_line
from lpflu_bench.judging.findings import COMPILED_NETWORK, FATAL_STEPS, Finding, Outcome, finding_from_dict
from lpflu_bench.text import duration

STEP_SECONDS = 120.0
"""After this long without an answer a step counts as hanging; compiling on a busy machine takes a minute."""
COMMAND = (sys.executable, "-m", "lpflu_bench.judging.examination")
START = "start"
START_SECONDS = 600.0
"""For importing PyTorch from a slow disk on a busy machine."""
COMPILE_SECONDS = 120.0
"""What compiling a network with each of four functions takes on two idle cores."""
_POLL_SECONDS = 0.1


@dataclass
class Examination:
    """What was found.

    Attributes:
        findings: in the order of the checks.
        curve: x, f(x) and f'(x); empty if it could not be drawn.
        alone: cost of the functions by themselves (:func:`lpflu_bench.judging.cost.measure_alone`).
        network: cost in a training step, composed and compiled.
        loads: the machine's load average over its cores at the end of each measurement of cost.
    """

    findings: list[Finding] = field(default_factory=list)
    curve: list[list[float]] = field(default_factory=list)
    alone: list[dict[str, Any]] = field(default_factory=list)
    network: list[dict[str, Any]] = field(default_factory=list)
    loads: list[float] = field(default_factory=list)

    @property
    def fatal(self) -> Finding | None:
        """The first finding that makes training pointless."""
        return next((finding for finding in self.findings if finding.fatal), None)

    @property
    def busy(self) -> str:
        """What is to be said of the costs where the machine had more to do than it has cores for; else nothing."""
        return busy_note(max(self.loads, default=0.0), "these costs are")

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {**vars(self), "findings": [finding.as_dict() for finding in self.findings]}


def examination_from_dict(fields: dict[str, Any]) -> Examination:
    """Return what came through JSON."""
    return Examination(**{**fields, "findings": [finding_from_dict(one) for one in fields["findings"]]})


def examine(
    spec: str,
    functions: dict[str, str],
    *,
    step_seconds: float = STEP_SECONDS,
    compile_seconds: float = COMPILE_SECONDS,
    memory_bytes: int | None = None,
    last: str = "",
    progress: Callable[[str], None] = lambda _: None,
) -> Examination:
    """Examine a function; a step in which its process ends or hangs is noted, and the next one starts afresh.

    Args:
        spec: of the function.
        functions: what each function whose cost is measured is called -> what builds it.
        step_seconds: without an answer, after which a step counts as hanging.
        compile_seconds: for the cost in compiled networks, which is not measured where they are fewer than it takes.
        memory_bytes: that the process may hold; half of what is free by default.
        last: the step after which to stop; all of them by default.
        progress: is told what is being done.

    Raises:
        UserError: the function cannot be imported or built, or is none.
    """
    limit = memory_bytes or psutil.virtual_memory().available // 2
    found = Examination()
    done: list[str] = []
    allowed = {START: START_SECONDS, COMPILED_NETWORK: compile_seconds}
    skipped = compile_seconds < COMPILE_SECONDS
    if skipped:
        done.append(COMPILED_NETWORK)
    while True:
        with tempfile.TemporaryFile("w+", errors="replace") as errors:
            process = subprocess.Popen(
                COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,  # so that killing it takes what it has started too
            )
            try:
                step, why, hangs = _follow(
                    process,
                    {"spec": spec, "functions": functions, "done": done, "last": last},
                    found,
                    done,
                    lambda step: allowed.get(step, step_seconds),
                    limit,
                    progress,
                )
            finally:
                _kill(process)
            if not step:
                if skipped and found.fatal is None:
                    text = f"not measured: it takes {duration(COMPILE_SECONDS)}, the budget allows {duration(compile_seconds)}"
                    found.findings.append(Finding(COMPILED_NETWORK, Outcome.NOTED, text))
                return found
            errors.seek(0)
            said = one_line((errors.read().strip().splitlines() or [""])[-1], 160)
        fatal = step in FATAL_STEPS
        text = f"{why} in this check" + (f" ({said})" if said and "ended" in why else "")
        outcome = Outcome.FAILED
        if step == COMPILED_NETWORK and hangs:  # its time is a share of the budget: no fault of the function's
            outcome, text = Outcome.NOTED, f"not measured: compiling took more than {duration(compile_seconds)}"
        found.findings.append(Finding(step, outcome, text, fatal=fatal))
        if fatal:
            return found
        done.append(step)


def _follow(
    process: "subprocess.Popen[str]",
    request: dict[str, Any],
    found: Examination,
    done: list[str],
    allowed: Callable[[str], float],
    memory: int,
    progress: Callable[[str], None],
) -> tuple[str, str, bool]:
    """Take a process' answers; return the step in which it ended, why, and if for want of time; no step if it did all."""
    assert process.stdin is not None
    assert process.stdout is not None
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read, args=[process.stdout, lines], daemon=True).start()
    process.stdin.write(json.dumps(request) + "\n")
    process.stdin.flush()
    watched = psutil.Process(process.pid)
    step, since = START, time.monotonic()
    while True:
        try:
            line = lines.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            if time.monotonic() - since > allowed(step):
                return step, f"no answer for {allowed(step):g} s: it hangs", True
            if _resident(watched) > memory:
                return step, f"its process held more than {memory / 1e9:.1f} GB", False
            continue
        if not line:
            status = process.wait()
            name = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
            return step, f"its process ended {name}", False
        answer = json.loads(line)
        since = time.monotonic()
        if "refused" in answer:
            raise UserError(answer["refused"])
        if "step" in answer:
            done.append(step)
            step = answer["step"]
            if not step:
                return "", "", False
            progress(step)
        else:
            _take(answer, step, found)
        if found.fatal is not None:
            return "", "", False


def _read(answers: IO[str], lines: queue.Queue[str]) -> None:
    for line in answers:
        lines.put(line)
    lines.put("")


def _take(answer: dict[str, Any], step: str, found: Examination) -> None:
    if "finding" in answer:
        found.findings.append(finding_from_dict(answer["finding"]))
    elif "lost" in answer:
        found.findings.append(Finding(step, Outcome.FAILED, answer["lost"]))
    else:
        for name, value in answer.items():
            getattr(found, name).extend(value)


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _kill(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
