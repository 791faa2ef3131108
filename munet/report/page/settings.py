"""What the run was begun with: configuration, tasks, root, versions and devices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from munet.report.page import parts
from munet.report.page.parts import Section, Table
from munet.report.page.source import Source


def sections(source: Source) -> list[Section]:
    """Tasks' data, then everything else."""
    start, joint = source.system.start, source.system.joint
    tables = [
        _pairs("configuration", "Configuration", joint.settings if joint is not None else start.experiment, True),
        _pairs("root", "Root", {**start.root_checkpoint, **start.preprocessing}),
        _pairs("versions", "Versions", start.versions),
        _pairs("devices", "Devices", start.layout, True),
    ]
    return [
        Section("data", "Data", [_data(source)]),
        Section("settings", "Configuration, root and versions", [table for table in tables if table.rows]),
    ]


def _data(source: Source) -> Table:
    rows = [
        {
            "task": info.name,
            "uri": info.uri,
            "classes": info.num_classes,
            "train": info.num_train,
            "validation": info.num_validation,
            "test": info.num_test,
            "fingerprint": info.fingerprint,
        }
        for info in source.system.tasks
    ]
    columns = [
        parts.text("task", "task"),
        parts.text("uri", "from"),
        *(parts.plain(name, name) for name in ("classes", "train", "validation", "test")),
        parts.Column("fingerprint", lambda row: row["fingerprint"][:12], is_text=True),
    ]
    return Table("data", "", rows, columns, most=1000)


def _pairs(name: str, title: str, values: Mapping[str, Any], is_closed: bool = False) -> Table:
    rows = [{"name": key, "value": value} for key, value in _flat(values)]
    return Table(name, title, rows, [parts.text("name", "name"), parts.text("value", "value")], "", 1000, is_closed)


def _flat(values: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{before}{key}.")
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
            found.append((f"{before}{key}", str(shown)))
    return found
