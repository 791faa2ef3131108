"""Tables that fit a terminal: no number is ever cut; columns that have no room are left out, the least wanted first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, JustifyMethod, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

BETWEEN = 3  # letters between the contents of two columns
_NAME, _LEAST_NAME, _TEXT = 24, 12, 16  # letters of names and texts that stand in a line; more goes on in the next


@dataclass(frozen=True)
class Column:
    """A column with all its cells.

    Attributes:
      heading: lines, as the cells may be.
      cells: one for each row.
      rank: 0 is never left out; of the others the highest goes first.
      is_text: whether it may go on in the next line, which numbers never do.
    """

    heading: str
    cells: Sequence[str]
    rank: int = 0
    is_text: bool = False

    @property
    def full_width(self) -> int:
        """Letters of its longest line."""
        return _longest(self.heading.split("\n"), *(cell.split("\n") for cell in self.cells))

    @property
    def least_width(self) -> int:
        """Letters for which another column is left out."""
        return min(self.full_width, _TEXT if self.rank else _NAME) if self.is_text else self.full_width


def total_width(widths: Sequence[int]) -> int:
    """Letters of a line of a table with columns of these widths, its borders too."""
    return sum(widths) + BETWEEN * len(widths) + 1


def fitted(columns: Sequence[Column], room: int) -> tuple[list[Column], list[int]]:
    """The columns that a table of at most `room` letters holds, and their widths.

    Args:
      columns: in the order in which they are shown.
      room: letters. Columns of rank 0 stay, even where they take more.
    """
    kept = list(columns)
    while total_width([column.least_width for column in kept]) > room and any(column.rank for column in kept):
        kept.remove(max(kept, key=lambda column: column.rank))
    widths = [column.least_width for column in kept]
    for place, column in enumerate(kept):  # where nothing is left to leave out
        if column.is_text and (over := total_width(widths) - room) > 0:
            widths[place] = max(widths[place] - over, min(widths[place], _LEAST_NAME))
    for place in sorted(range(len(kept)), key=lambda place: kept[place].rank):  # what is left goes to texts
        more = min(kept[place].full_width - widths[place], room - total_width(widths))
        widths[place] += max(more, 0)
    return kept, widths


class FittedTable:
    """A table of the columns that have room on whatever it is printed on, and a line that says which have none.

    Args:
      title: above it.
      columns: in the order in which they are shown.
      hidden: rows that only `--wide` shows, in words; "": none.
      sections: rows behind which a line is drawn.
    """

    def __init__(self, title: str, columns: Sequence[Column], hidden: str = "", sections: Sequence[int] = ()):
        self._title, self._columns, self._hidden, self._sections = title, columns, hidden, sections

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        kept, widths = fitted(self._columns, options.max_width)
        yield self._drawn(kept, widths)
        left_out = [column.heading.replace("\n", " ") for column in self._columns if column not in kept]
        said = [self._hidden] if self._hidden else []
        said += [f"columns that have no room: {', '.join(left_out)}"] if left_out else []
        if said:
            yield Text(f"--wide also shows {'; '.join(said)}.")

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(1, total_width([column.full_width for column in self._columns]))

    def _drawn(self, columns: Sequence[Column], widths: Sequence[int]) -> Table:
        table = Table(title=Text(self._title, "bold"))
        for column, width in zip(columns, widths, strict=True):
            side: JustifyMethod = "left" if column.is_text else "right"
            table.add_column(column.heading, width=width, justify=side, overflow="fold")
        for place, cells in enumerate(zip(*(column.cells for column in columns), strict=True)):
            table.add_row(*map(Text, cells), end_section=place in self._sections)
        return table


def _longest(*words: Sequence[str]) -> int:
    return max((cell_len(word) for some in words for word in some), default=0)
