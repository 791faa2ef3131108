"""Configs as plain values, and how they differ: from one another, and from what an older version wrote of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from munet.config.evolve import Experiment

# What versions did that had no such field yet, where its default is something else.
BEFORE: Mapping[str, Any] = {
    "compute_dtype": "float32",
    "seed_choice": "newest",
    "normaliser_image_size": 0,
    "fidelity": {"crop": "clipped_area"},  # and of its other fields the defaults: see `as_begun`
}


def to_json(config: Any) -> dict[str, Any]:
    """A config, or a part of one, as plain JSON values (tuples become lists)."""

    def plain(items: list[tuple[str, Any]]) -> dict[str, Any]:
        return {name: list(value) if isinstance(value, tuple) else value for name, value in items}

    return dataclasses.asdict(config, dict_factory=plain)


def differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """Fields in which two `to_json` values differ, each as `name: old -> new`."""
    found: list[str] = []
    for name in [*old, *(name for name in new if name not in old)]:
        before, after = old.get(name), new.get(name)
        if isinstance(before, dict) and isinstance(after, dict):
            found += differences(before, after, f"{prefix}{name}.")
        elif before != after:
            found.append(f"{prefix}{name}: {before!r} -> {after!r}")
    return found


def with_changes(config: Any, changes: Mapping[str, Any]) -> Any:
    """A config, or a part of one, with some fields otherwise, group by group: `{"search_space": {"flip": [False]}}`.

    Raises:
      TypeError: there is no such field.
    """
    return dataclasses.replace(
        config,
        **{
            name: with_changes(getattr(config, name), value)
            if isinstance(value, Mapping)
            else (tuple(value) if isinstance(value, list) else value)
            for name, value in changes.items()
        },
    )


def completed(experiment: Mapping[str, object]) -> dict[str, Any]:
    """The `experiment` part as an older version wrote it, with what that version did for fields that it did not have.

    That is the default of the field, or what `BEFORE` says.
    """
    return merged(merged(to_json(Experiment()), BEFORE), experiment)


def as_begun(experiment: Experiment, begun: Mapping[str, object]) -> tuple[Experiment, list[str]]:
    """The settings with which a run that an older version began goes on: it does what that version did.

    Args:
      experiment: as it is given now, by a config file that may have changed with munet.
      begun: the `experiment` part of the run's journal.

    Returns:
      The settings, and which fields are not as given, each as `name: given -> taken`.
    """
    older: dict[str, Any] = {name: value for name, value in BEFORE.items() if name not in begun and name != "fidelity"}
    known = begun.get("fidelity")
    if isinstance(known, Mapping):  # each of its fields is a choice that only some version could make
        missing = completed(begun)["fidelity"].items() - known.items()
        older["fidelity"] = dataclasses.replace(experiment.fidelity, **dict(missing))
    taken = dataclasses.replace(experiment, **older)
    return taken, differences(to_json(experiment), to_json(taken))


def without_places(experiment: Mapping[str, object]) -> dict[str, Any]:
    """The `experiment` part, completed, without what only says where root and data are."""
    return {name: value for name, value in completed(experiment).items() if name not in ("root", "tasks")}


def merged(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """What is given, group by group, with the defaults of what is not."""
    whole = {**defaults, **given}
    for name, default in defaults.items():
        if isinstance(default, dict) and isinstance(given.get(name), dict):
            whole[name] = merged(default, given[name])
    return whole
