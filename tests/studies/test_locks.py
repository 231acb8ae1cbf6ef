import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lpflu_bench.errors import UserError
from lpflu_bench.studies import locks as locks_module
from lpflu_bench.studies.locks import Locks

CELL = "0123456789abcdef"
OTHER = """
import os, sys; from pathlib import Path; from lpflu_bench.studies.locks import Locks
locks = Locks(Path(sys.argv[1])); print(locks.claim(sys.argv[2]), flush=True); sys.stdin.read()
"""


class Clock:
    """Both clocks of the module, set by hand."""

    def __init__(self):
        self.now, self.wall = 100.0, 1e9

    def monotonic(self):
        return self.now

    def time(self):
        return self.wall


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(locks_module, "time", clock)
    return clock


@pytest.fixture
def two(tmp_path):
    """Two of one study, as two processes have them."""
    pair = [Locks(tmp_path) for _ in range(2)]
    yield pair
    for locks in pair:
        locks.close()


@pytest.fixture
def process(tmp_path):
    """Another process that has the lock."""
    with subprocess.Popen(
        [sys.executable, "-c", OTHER, str(tmp_path), CELL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as started:
        assert started.stdout.readline() == "True\n"
        yield started
        started.kill()


def on_another_machine(folder, cell=CELL):
    """Make a lock look as if another machine's process had it; return the file whose time is its heartbeat."""
    owner = json.loads((folder / cell).read_text())
    (folder / cell).write_text(json.dumps({**owner, "machine": "elsewhere"}))
    return folder / f".{owner['token']}"


def test_one_of_many_gets_a_cell(tmp_path):
    several = [Locks(tmp_path) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda locks: locks.claim(CELL), several))
    assert sum(got) == 1


def test_released_locks_are_free(two, tmp_path):
    one, other = two
    assert one.claim(CELL)
    assert not other.claim(CELL)
    assert other.running()[CELL].pid == os.getpid()
    one.release(CELL)
    assert other.running() == {}
    assert other.claim(CELL)
    other.close()
    assert one.claim(CELL)
    one.close()
    assert [path.name for path in tmp_path.iterdir()] == [".guard"]


def test_a_dead_process_is_known_to_be_dead_at_once(two, process):
    assert not two[0].claim(CELL)
    process.kill()
    process.wait()
    assert two[0].leftovers()[-1].name == CELL
    assert two[0].running() == {}
    assert two[0].claim(CELL)


def test_a_zombie_is_dead(two, process):
    process.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, nobody has asked for its status
    assert two[0].claim(CELL)


def test_a_suspended_process_keeps_its_lock(two, process):
    process.send_signal(signal.SIGSTOP)
    assert not two[0].claim(CELL)


def test_no_clock_decides_about_a_process_of_this_machine(two, process, tmp_path, clock):
    for wall, changed in ((1e9, 1), (2e9, 1), (1e9, 2_000_000_000)):  # its heartbeat looks long past, or in the future
        clock.wall = wall
        for path in tmp_path.iterdir():
            os.utime(path, (changed, changed))
        clock.now += 10 * locks_module.STALE_SECONDS
        assert not two[0].claim(CELL)
        assert list(two[0].running()) == [CELL]


def test_the_process_number_says_nothing(two, tmp_path):
    """Containers of one host have processes that cannot be seen from one another, and host names that are the same."""
    one, other = two
    assert one.claim(CELL)
    owner = json.loads((tmp_path / CELL).read_text())
    (tmp_path / CELL).write_text(json.dumps({**owner, "pid": 4_000_000}))
    assert not other.claim(CELL)


def test_another_machine_is_watched_before_its_lock_is_taken(two, tmp_path, clock):
    one = two[0]
    assert one.claim(CELL)
    heartbeat = on_another_machine(tmp_path)
    for wall in (1e9, 1e9 - 3600, 1e9 + 3600):  # its time may lie in the future, or long ago: that is no sign of death
        os.utime(heartbeat, (wall, wall))
        fresh = Locks(tmp_path)
        assert not fresh.claim(CELL)
        assert fresh.state(CELL) == "unknown"
    clock.now += locks_module.STALE_SECONDS - 1
    assert fresh.state(CELL) == "unknown"
    os.utime(heartbeat, (1, 1))
    assert fresh.state(CELL) == "held"  # it lives
    clock.now += locks_module.STALE_SECONDS + 1
    assert fresh.claim(CELL)  # no more
    assert not one.holds(CELL)
    one.release(CELL)
    assert fresh.holds(CELL)
    fresh.close()


def test_status_believes_another_machine_with_a_recent_heartbeat(two, tmp_path, clock):
    one, other = two
    assert one.claim(CELL)
    heartbeat = on_another_machine(tmp_path)
    for wall, seen in ((1e9 - 30, True), (1e9 + 30, True), (1e9 - 3600, False), (1e9 + 3600, False)):
        os.utime(heartbeat, (wall, wall))
        assert (CELL in other.running()) == seen


def test_an_empty_lock_is_free(two, tmp_path):
    (tmp_path / CELL).write_text("")
    assert two[0].leftovers()[-1].name == CELL
    assert two[0].claim(CELL)


def test_the_heart_beats(two, tmp_path, monkeypatch):
    monkeypatch.setattr(locks_module, "HEARTBEAT_SECONDS", 0.01)
    beats = []
    monkeypatch.setattr(locks_module.os, "utime", lambda file: beats.append(file))
    stop = two[0]._stop
    monkeypatch.setattr(stop, "wait", lambda seconds: len(beats) == 3)
    two[0].claim(CELL)
    two[0]._beating.join(timeout=60)
    assert beats == [two[0]._life.fileno()] * 3


def test_an_unwritable_folder_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot lock cells in .*file"):
        Locks(tmp_path / "file").claim(CELL)
    assert Locks(tmp_path / "nowhere").running() == {}
    assert not Path(tmp_path / "nowhere").exists()
