"""What every command prints alike: tables that fit 80 columns, and the command that follows."""

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
    table = Table(title=Text(title, style="bold"), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    rows = list(lines)
    for index, name in enumerate(head):
        is_number = index >= texts
        cells = [row[index] for row in rows]
        unbroken = [*name.split(), *(cells if is_number else (word for cell in cells for word in cell.split()))]
        width = min(max(map(len, unbroken), default=0), 30)
        table.add_column(Text(name), justify="right" if is_number else "left", min_width=width, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table
