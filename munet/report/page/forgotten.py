"""What is left of tasks that were forgotten: which retained components ever saw their images, and who uses them."""

from __future__ import annotations

from typing import Any

from munet.report.facts import forgotten
from munet.report.facts.forgotten import Seen
from munet.report.forgotten import UNKNOWN
from munet.report.page import parts
from munet.report.page.parts import Column, Part, Section, Table, Text
from munet.report.page.source import Source
from munet.text import count


def sections(source: Source) -> list[Section]:
    """One section; without parts where nothing was forgotten."""
    systems = {source.name: source.system, **source.others}
    found = {name: forgotten.seen(system) for name, system in systems.items() if system.forgotten}
    told: list[Part] = [Text(line) for name in found for line in _told(source, name, found[name])]
    rows = [_row(name, one) for name, own in found.items() for one in own]
    if rows:
        told.append(Table("forgotten", "Retained components that saw them", rows, _columns(len(found) > 1), most=1000))
    if told:
        told.append(Text("The journal keeps names, counts, settings and verdicts; it holds no image and no parameter."))
    return [Section("forgotten", "Forgotten tasks", told)]


def _told(source: Source, name: str, seen: list[Seen]) -> list[str]:
    """A line for each task that a system has forgotten."""
    system = source.systems[name]
    where = "" if system is source.system else f" ({name})"
    lines = []
    for task in dict.fromkeys(system.forgotten):
        own = [one for one in seen if one.forgotten == task]
        total, params = count(len(system.components), "retained component"), sum(one.params for one in own)
        what = (
            f"{len(own):,} of {total}, {params:,} parameters, saw its images, or may have"
            if any(one.cycles is None for one in own)
            else f"{len(own):,} of {total}, {params:,} parameters, saw its images"
            if own
            else f"none of {total} ever saw its images"
        )
        lines.append(f"{task}{where}: {what}.")
    return lines


def _row(name: str, one: Seen) -> dict[str, Any]:
    return {
        "system": name,
        "forgotten": one.forgotten,
        "layer": one.layer,
        "component": one.component,
        "cycles": one.cycles,
        "all_cycles": one.all_cycles,
        "params": one.params,
        "users": ", ".join(one.users),
    }


def _columns(with_system: bool) -> list[Column]:
    return [
        *([parts.text("system", "system")] if with_system else []),
        parts.text("forgotten", "forgotten task"),
        parts.text("layer", "layer"),
        Column("component", lambda row: row["component"][:12], is_text=True),
        Column("cycles on it", lambda row: f"perhaps, {UNKNOWN}" if row["cycles"] is None else f"{row['cycles']:,}"),
        parts.plain("all_cycles", "cycles on all tasks"),
        parts.plain("params", "parameters"),
        parts.text("users", "used by"),
    ]
