"""What a joint training begins with, and in what two beginnings differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from munet.config.differences import differences, merged, to_json
from munet.errors import WorkdirError
from munet.kinds import Kind
from munet.types import TaskInfo

FORMAT_VERSION = 1
_OTHER = "Give another --workdir for the new recipe, or the old settings to go on with the old one."


@dataclass(frozen=True)
class Beginning:
    """What a training begins with, and must be the same when it goes on; layout and versions may differ, with a note.

    Attributes:
      experiment: the recipe, or the `experiment` part of the settings, as plain JSON values.
      tasks: what is learnt.
      layout: devices, as `DeviceLayout.describe` gives them.
      versions: of packages.
    """

    experiment: Mapping[str, object]
    tasks: tuple[TaskInfo, ...]
    layout: Mapping[str, object]
    versions: Mapping[str, object]
    format_version: int = FORMAT_VERSION
    root: Mapping[str, object] = field(default_factory=dict)  # name, SHA-256 and variant of what it begins from
    folder: str = field(default="", metadata={"omit_default": True})  # from which relative paths of tasks go


def check_same(found: Beginning, wanted: Beginning, kind: Kind, workdir: str) -> None:
    """Refuses to go on with another recipe, root or data; data and root are what they hold, not where they are.

    Args:
      found: in the directory.
      wanted: by the settings that are given now.
      kind: of both.
      workdir: the directory.

    Raises:
      WorkdirError: what differs, every field with both values.
    """
    if changes := beginning_differences(found, wanted, kind):
        listed = "".join(f"\n  - {change}" for change in changes)
        raise WorkdirError(
            f"{workdir} holds a {kind.what} by another recipe. What differs (there -> here):{listed}\n{_OTHER}"
        )


def beginning_differences(found: Beginning, wanted: Beginning, kind: Kind) -> list[str]:
    """In what two trainings differ that decides their results: settings, root, data."""
    from munet.run import start  # loads JAX, which nobody waits for who only looks into a directory

    return [
        *experiment_differences(found.experiment, wanted.experiment, kind),
        *start.root_differences(found.root, wanted.root),
        *start.task_differences(found.tasks, wanted.tasks),
    ]


def experiment_differences(old: Mapping[str, object], new: Mapping[str, object], kind: Kind) -> list[str]:
    """Fields in which two recipes differ; one that an older version did not have had its default. Not the places."""

    def complete(recipe: Mapping[str, object]) -> dict[str, object]:
        whole = merged(to_json(kind.defaults), recipe)
        return {name: value for name, value in whole.items() if name not in ("tasks", "root")}

    return differences(complete(old), complete(new))
