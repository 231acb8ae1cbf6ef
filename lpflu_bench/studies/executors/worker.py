"""A worker process: reads jobs from its standard input, one a line, and answers each with its outcome.

It lives over many cells, so that torch is imported once. What a cell prints goes into its run folder's ``log.txt``.
"""

import contextlib
import json
import os
import queue
import signal
import sys
import threading
from pathlib import Path

from lpflu_bench.studies.cell import Job, Outcome, job_from_dict, run_job
from lpflu_bench.studies.disk import is_disk_error


def _read_jobs(jobs: "queue.Queue[str]") -> None:
    for line in sys.stdin:
        jobs.put(line)
    os._exit(0)  # the process that submitted the jobs is gone; a cell resumes from its checkpoint later


def _run_into_log(job: Job) -> Outcome:
    try:
        folder = Path(job.run_dir)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "log.txt").open("a", encoding="utf-8") as log:
            for stream in (1, 2):
                os.dup2(log.fileno(), stream)
    except OSError as error:
        return Outcome(error=str(error), disk=is_disk_error(error, Path(job.run_dir)))
    outcome = run_job(job)
    with contextlib.suppress(OSError):  # a full disk keeps no more of the log
        sys.stdout.flush()
        sys.stderr.flush()
    return outcome


def main() -> None:
    """Serve until standard input closes."""
    signal.signal(
        signal.SIGUSR2, lambda *_: None
    )  # of a job scheduler, to all processes of a job: its parent's business
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    jobs: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read_jobs, args=(jobs,), daemon=True).start()
    while True:
        outcome = _run_into_log(job_from_dict(json.loads(jobs.get())))
        answers.write(json.dumps(outcome.as_dict(), default=str) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
