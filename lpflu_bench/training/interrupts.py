"""Ctrl-C during Lightning's loops."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupts() -> Iterator[None]:
    """Make an interrupt a KeyboardInterrupt again: Lightning exits instead, and ignores the signal from then on.

    Raises:
        KeyboardInterrupt: the user interrupted the block.
    """
    main_thread = threading.current_thread() is threading.main_thread()
    earlier = signal.getsignal(signal.SIGINT) if main_thread else None
    try:
        yield
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise
    finally:
        if earlier is not None:
            signal.signal(signal.SIGINT, earlier)
