"""Two directives that write reference pages from the program itself: `munet-commands` and `munet-settings`."""

from __future__ import annotations

import inspect
import operator
import textwrap
from collections.abc import Iterable
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from munet.cli import parser
from munet.config import Config, MuirConfig, PretrainConfig, RoutingConfig, TrainConfig
from munet.config.fields import as_flag, docs_of, entries


class Commands(SphinxDirective):
    """Every command with what `munet COMMAND --help` prints."""

    def run(self) -> list[nodes.Node]:
        """One section a command."""
        self.env.note_dependency(str(inspect.getsourcefile(parser)))
        return [
            self._section(f"munet {name}", f"munet-{name}", nodes.literal_block(text, text, language="text"))
            for name, text in parser.make_parser().help_texts().items()
        ]

    def _section(self, title: str, identity: str, *content: nodes.Node) -> nodes.section:
        section = nodes.section("", nodes.title(title, title), *content, ids=[identity], names=[identity])
        self.state.document.note_explicit_target(section)
        return section


class Settings(Commands):
    """Every setting with its default, its meaning and what it may be, one table a group; of a kind of config."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """One section a group of settings."""
        kind = self.arguments[0] if self.arguments else ""
        config: type[Any] = {
            "": Config,
            "pretrain": PretrainConfig,
            "train": TrainConfig,
            "muir": MuirConfig,
            "routing": RoutingConfig,
        }[kind]
        self.env.note_dependency(str(inspect.getsourcefile(config)))
        prefix = f"settings-{kind}-" if kind else "settings-"
        docs, fields = docs_of(config), entries(config)
        rows: dict[str, list[tuple[str, str, str]]] = {path: [] for path, entry in fields.items() if entry.is_group}
        for path, entry in fields.items():
            if not entry.is_group:
                default = as_flag(operator.attrgetter(path)(config()))
                rows[path.rpartition(".")[0]].append((entry.name, default or '""', docs[path]))
        return [
            self._section(group, prefix + group.replace(".", "-"), nodes.paragraph("", docs[group]), _table(settings))
            for group, settings in rows.items()
        ]


def _table(rows: Iterable[tuple[str, str, str]]) -> nodes.table:
    group = nodes.tgroup("", *(nodes.colspec(colwidth=width) for width in (30, 30, 60)), cols=3)
    header = nodes.row("", *(nodes.entry("", nodes.paragraph("", text)) for text in ("setting", "default", "meaning")))
    group += nodes.thead("", header)
    group += nodes.tbody("", *(_row(*row) for row in rows))
    return nodes.table("", group)


def _row(name: str, default: str, meaning: str) -> nodes.row:
    shown = textwrap.shorten(default.replace(",", ", "), 200)
    cells = (nodes.literal("", name), nodes.literal("", shown), nodes.Text(meaning))
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", cell)) for cell in cells))


def setup(app: Sphinx) -> dict[str, bool]:
    """Registers the directives."""
    app.add_directive("munet-commands", Commands)
    app.add_directive("munet-settings", Settings)
    return {"parallel_read_safe": True}
