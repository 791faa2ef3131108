"""What `munet roots` prints: the roots known by name, those in the cache, and what one of them is."""

from __future__ import annotations

import dataclasses
import json
import shlex
from typing import Any

from munet.roots import cached_files, names
from munet.roots.checkpoint import Checkpoint, describe
from munet.roots.resolve import DEMO, find
from munet.text import plain_console, say
from munet.vit.architecture import get_variant
from munet.vit.augreg import demo_root_path
from munet.vit.headers import Facts

_PACKAGED = "in the package"
_PLAIN_WIDTH = 150  # of tables in pipes, where there is no window to fit


def list_all(as_json: bool, cache_dir: str) -> None:
    """Prints every root that is known by name, and every other that is in the cache; nothing is downloaded."""
    rows = [_demo(), *(_known(known, cache_dir) for known in names.KNOWN.values())]
    listed = {row["cached"]["path"] for row in rows if row["cached"]}
    for found in cached_files.cached(cache_dir):
        if str(found.path) not in listed:  # as it can be given again: its URL, or its path if we do not know it
            rows.append(_row(found.source if "://" in found.source else str(found.path), "", found, found.source))
    if as_json:
        print(json.dumps({"roots": rows}, indent=2))
        return
    _print_table(rows)


def describe_one(reference: str, as_json: bool, cache_dir: str) -> None:
    """Fetches a root if need be, checks every byte of it, and prints what it is and how to begin with it.

    Raises:
      CheckpointError: it cannot be had or used.
    """
    found = find(reference, cache_dir)
    found.load(found.num_blocks)  # every array, its shape, and that it is finite
    if as_json:
        print(json.dumps(_facts(found), indent=2))
        return
    for name, value in _facts(found).items():
        if name != "notes":
            say(f"{name.replace('_', ' ') + ':':14}{value:,}" if type(value) is int else f"{name + ':':14}{value}")
    for note in found.facts.notes:
        say(f"note:         {note}")
    say(f"\n{_how_to(found)}")


def _facts(found: Checkpoint) -> dict[str, Any]:
    facts = found.facts
    return {
        "root": found.reference,
        "place": found.place,
        "sha256": found.sha256,
        "layout": facts.layout,
        "variant": facts.variant.name,
        "num_blocks": facts.num_blocks,
        "image_size": facts.image_size,
        "num_params": facts.num_params,
        "head": f"{facts.num_classes} classes, left out" if facts.num_classes else "none",
        "notes": list(facts.notes),
    }


def _how_to(found: Checkpoint) -> str:
    flags = [f"--config.root={found.reference}", f"--config.variant={found.variant.name}"]
    flags.append(f"--config.num_blocks={found.num_blocks}")
    if width := found.facts.adapter_dim:
        flags += [f"--config.defaults.adapter_dim={width}", f"--config.search_space.adapter_dim={width}"]
    return "Begin with it:\n  munet evolve --config=base --workdir=runs/mine " + shlex.join(flags)


def _demo() -> dict[str, Any]:
    path = demo_root_path()
    facts, _ = describe(path)
    size = path.stat().st_size
    found = cached_files.Remembered(path, size, cached_files.file_sha256(path), _PACKAGED, "")
    return _row(DEMO, facts.variant.name, found, _PACKAGED) | {"num_params": facts.num_params}


def _known(known: names.Known, cache_dir: str) -> dict[str, Any]:
    path = cached_files.place(names.url(known.name), cache_dir)
    found = cached_files.recall(path) if path.is_file() else None
    return _row(f"{names.SCHEME}{known.name}", known.variant, found, f"named by {known.said_by}")


def _row(name: str, variant: str, found: cached_files.Remembered | None, source: str) -> dict[str, Any]:
    """A line of the list; `num_params` of a known one is at 224 pixels, the size that the release is for."""
    params: int | None = None
    if variant:
        params = Facts("augreg", get_variant(variant), get_variant(variant).max_blocks, 224).num_params
    cached = None if found is None else dataclasses.asdict(found) | {"path": str(found.path)}
    return {"name": name, "variant": variant, "num_params": params, "source": source, "cached": cached}


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    console = plain_console(_PLAIN_WIDTH)
    table = Table()
    table.add_column("root", overflow="fold")
    table.add_column("variant")
    table.add_column("parameters", justify="right")
    table.add_column("here")
    for row in rows:
        params = f"{row['num_params']:,}" if row["num_params"] else ""
        table.add_row(row["name"], row["variant"], params, _here(row["cached"]))
    console.print(table)
    for cached in (row["cached"] for row in rows if row["cached"] and row["name"] != DEMO):
        checked = f"SHA-256 {cached['sha256']} since {cached['since']}" if cached["sha256"] else "not used yet"
        say(f"{cached['path']}\n  {cached['size']:,} bytes from {cached['source']}; {checked}")
    say(
        "Named by the README of the release, timm, or the muNet paper (--json says by which). How one of these\n"
        "begins is enough where one fits (augreg:S_16); any other name of its index works in full. A path, https://,\n"
        "gs:// and munet:WORKDIR?task=TASK are roots, too.\n\n"
        "munet roots NAME downloads one into the cache, checks it, and says how to begin with it."
    )


def _here(cached: dict[str, Any] | None) -> str:
    if cached is None:
        return ""
    return "in the package" if cached["source"] == _PACKAGED else f"{cached['size'] / 1e6:,.1f} MB"
