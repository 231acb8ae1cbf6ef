"""Child processes for tests, forked from a server that has imported what they need: each would take 9 s of a core to.

Forking the tests' own process fails once a test has started autograd's threads.
"""

import multiprocessing

CHILDREN = multiprocessing.get_context("forkserver")
CHILDREN.set_forkserver_preload(["lpflu_bench.training.lightning_cli", "lpflu_bench.studies.cell"])
