"""What every command prints alike: tables that fit 80 columns, and the command that follows."""

import re
import shlex
from collections.abc import Iterable, Sequence

from rich import box
from rich.table import Table
from rich.text import Text


def next_command(*words: object) -> str:
    """Return the line that ends a command's output: what one would type now, quoted for the shell."""
    return "next: lpflu-bench " + " ".join(shlex.quote(str(word)) for word in words)


def text_table(title: str, head: Sequence[str], lines: Iterable[Sequence[str]], *, texts: int = 1) -> Table:
    """Return a table without vertical rules; its cells are plain text, wrapped between words.

    Args:
        title: above it.
        head: column names.
        lines: the rows.
        texts: the first so many columns are words and set flush left; the others are numbers, kept on one line.
    """
    table = Table(title=Text(title, style="bold"), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for index, name in enumerate(head):
        if index < texts:
            table.add_column(Text(name), overflow="fold")
        else:  # Rich takes nothing from a column that does not wrap, so that its heading is broken here
            words = re.split(r"\s+|(?<=-)(?=\w{4})", name)
            table.add_column(Text("\n".join(words)), justify="right", no_wrap=True)
    for line in lines:
        table.add_row(*map(Text, line))
    return table
