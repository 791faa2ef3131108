"""A rich console on which names of others' making steer nothing."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from munet.text import printable


class PrintableConsole(Console):
    """Spells out whatever would steer a terminal in texts (`munet.text.printable`); rich's own styles stay."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """As rich does, segment by segment."""
        for segment in super().render(renderable, options):
            is_text = not segment.control and not segment.text.isprintable()
            yield segment._replace(text=printable(segment.text, keep="\n")) if is_text else segment
