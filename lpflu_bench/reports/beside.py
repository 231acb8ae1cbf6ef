"""Work that is done in a second process while this one does something else."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection


def _answer(work: Callable[[], object], answers: Connection) -> None:
    try:
        work()
    except BaseException as error:
        answers.send(error)
    else:
        answers.send(None)


@contextmanager
def beside(work: Callable[[], object]) -> Iterator[None]:
    """Do ``work`` in a fork of this process, which copies no data, while the body runs; the block ends when both have.

    ``work`` must need no other thread and no GPU, for a fork has neither. Where a fork is not to be had, or not safe beside
    the threads of libraries, it is done after the body.

    Raises:
        Exception: what ``work`` raised, if the body raised nothing.
    """
    if sys.platform != "linux":
        try:
            yield
        finally:
            work()
        return
    context = get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(work, sender))
    process.start()
    sender.close()  # this process' end: a fork that dies without an answer ends the waiting
    try:
        yield
        error = receiver.recv()
    finally:
        process.join()
    if error is not None:
        raise error
