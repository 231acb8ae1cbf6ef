"""Cells that train nothing: what a job's configuration says is what it does."""

import errno
import os
import time
from pathlib import Path

from lpflu_bench.errors import UserError
from lpflu_bench.records import Tested, blank
from lpflu_bench.studies.plan import Cell

RUNNER = "stand_in_cells:run"


def run(job):
    """Do the configuration's ``behaviour``; every start leaves a line in the run folder."""
    with (Path(job.run_dir) / "starts").open("a") as file:
        file.write(f"{os.getpid()}\n")
    starts = len((Path(job.run_dir) / "starts").read_text().splitlines())
    behaviour, *rest = job.config["behaviour"].split(":")
    if behaviour == "sleep":
        time.sleep(float(rest[0]))
    elif behaviour == "wait-for":
        while not Path(rest[0]).exists():
            time.sleep(0.05)
    elif behaviour == "full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "last.ckpt")
    elif behaviour == "full-advice":
        try:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "record.json")
        except OSError as error:
            raise UserError("cannot write record.json: No space left on device; make room and run again") from error
    elif behaviour == "raise":
        raise RuntimeError("broken")
    elif behaviour == "refuse":
        raise UserError("wrong setting")
    elif behaviour == "die" or (behaviour == "die-once" and starts == 1):
        os.kill(os.getpid(), 9)
    elif behaviour == "hang" or (behaviour == "hang-once" and starts == 1):
        time.sleep(600)
    made = blank(config={}, config_hash=job.cell, seed=0, labels={}, at="2026-01-01T00:00:00+00:00")
    test = dict.fromkeys(Tested.__annotations__) | {"weights": "raw", "conditions": {}, "metrics": {"top1_error": 1.0}}
    return {
        **made,
        "status": "finished",
        "tested": [test],
        "pid": os.getpid(),
        **({"environment": dict(os.environ)} if behaviour == "environment" else {}),
    }


def cell(number, **labels):
    labels = {"study": "s", "task": "t", "network": "n", "activation": f"a{number}", "seed": 0, **labels}
    return Cell(f"{number:016x}", labels, 0, labels["seed"])


class Silent:
    """A progress that keeps what it is told."""

    def __init__(self):
        self.states = []

    def started(self, cell):
        pass

    def ended(self, cell, outcome, state):
        self.states.append((cell.labels["activation"], state))

    def tick(self, queued, slots):
        pass
