"""Run a function in two processes that are the two ranks of a run, on the CPU with gloo."""

import os
import socket

from children import CHILDREN


def _rank(rank, port, queue, function, arguments):
    from pytorch_lightning.strategies import DDPStrategy

    os.environ.update(
        MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), NODE_RANK="0", LOCAL_RANK=str(rank), WORLD_SIZE="2"
    )
    try:
        strategy = DDPStrategy(process_group_backend="gloo")
        queue.put((rank, function(*arguments, devices=2, strategy=strategy)))
    except BaseException as error:
        queue.put((rank, repr(error)))
        raise


def on_two_ranks(function, *arguments):
    """Return {rank: what ``function(*arguments, devices=2, strategy=...)`` returned there}; of a failed rank, its error.

    The function has to be importable and its result picklable.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    queue = CHILDREN.Queue()
    processes = [CHILDREN.Process(target=_rank, args=(rank, port, queue, function, arguments)) for rank in range(2)]
    for process in processes:
        process.start()
    got = dict(queue.get(timeout=280) for _ in processes)
    for process in processes:
        process.join(60)
    return got
