"""Errors that are for the person at the terminal."""

INTERRUPTED = 130
"""Exit status of a command that Ctrl-C ended."""
NOT_FINITE = "the loss is not finite"
"""How the error of a training that diverged begins."""


class UserError(ValueError):
    """Something the user can put right.

    The message is one line: what was wrong, where (file, key), what to do. The command prints it without a trace and
    exits with status 2; any other exception is a fault of ours and keeps its trace.
    """
