import os
import socket
import time
from pathlib import Path

import pytest
import stand_in_cells
from stand_in_cells import RUNNER, Silent, cell

from lpflu_bench.errors import UserError
from lpflu_bench.studies.run import StudyRun
from lpflu_bench.studies.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"  # read when Ray is imported
ray = pytest.importorskip("ray")


@pytest.fixture
def cluster(monkeypatch):
    """A head without processors and two nodes with two each."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", str(Path(stand_in_cells.__file__).parent), prepend=os.pathsep)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = [cluster.add_node(num_cpus=2) for _ in range(2)]
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster, nodes
    ray.shutdown()
    cluster.shutdown()


class _KillANode(Silent):
    """Takes a node away once cells have started on it."""

    def __init__(self, cluster, node):
        super().__init__()
        self._cluster, self._node = cluster, node

    def tick(self, queued, slots):
        if self._node is not None and self.states:
            self._cluster.remove_node(self._node, allow_graceful=False)
            self._node = None


def test_cells_of_a_lost_node_are_run_again_on_another(cluster, tmp_path):
    from lpflu_bench.studies.executors.ray import RayExecutor

    the_cluster, nodes = cluster
    deadline = time.monotonic() + 60
    executor = RayExecutor(tmp_path)
    while executor.slots() < 4:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    progress = _KillANode(the_cluster, nodes[1])
    behaviours = {cell(n).hash: "ok" if n == 0 else "sleep:2" for n in range(12)}
    behaviours[cell(11).hash] = "raise"
    with Store("s", tmp_path / "results", tmp_path / "runs") as store:
        run = StudyRun(store, executor, lambda c: {"behaviour": behaviours[c.hash]}, progress, retries=0, runner=RUNNER)
        summary = run.run([cell(n) for n in range(12)])
    assert len(summary.finished) == 11
    assert [str(c) for c in summary.failed] == [str(cell(11))]
    assert "lost" in {state for _, state in progress.states}
    assert executor.slots() == 2
    assert len(store.records()) == 12
    executor.close()
    assert ray.is_initialized()  # it was there before


def test_an_unreachable_cluster_is_one_line_after_the_stated_wait(tmp_path, monkeypatch, capsys):
    from lpflu_bench.studies.executors import ray as ray_module

    monkeypatch.setattr(ray_module, "WAIT_SECONDS", 2.0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(UserError, match="no Ray cluster answered within 2 s"):
            ray_module.RayExecutor(tmp_path, address=address)
    assert f"waiting up to 2 s for the Ray cluster at {address}" in capsys.readouterr().out
    assert not ray.is_initialized()
