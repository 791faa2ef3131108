"""Which tasks of a large system are drawn as one: those whose paths are equal, then those whose paths are most alike.

The pictures of the graph page have few columns, so that they fit a window; one group at a time is open.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations
from typing import TypeVar

Path = tuple[Hashable, ...]
Task = TypeVar("Task", bound=Hashable)

MOST_ALONE = 12  # tasks that fit beside each other in a window
MOST_COLUMNS = 8  # groups that do: their boxes say more
_MOST_COMPARED = 150  # groups of which every pair is compared; of more, neighbours are put together first


def groups_of(paths: Mapping[Task, Path], most: int = MOST_COLUMNS) -> list[tuple[Task, ...]]:
    """Tasks in at most `most` groups, each in the given order, the groups by their first tasks.

    Args:
      paths: of every task, without what is its own in any case: its head.
      most: groups; a few tasks stay alone.
    """
    place = {task: index for index, task in enumerate(paths)}
    if len(paths) <= MOST_ALONE:
        return [(task,) for task in paths]
    equal: dict[Path, list[Task]] = {}
    for task, path in paths.items():
        equal.setdefault(path, []).append(task)
    clusters = list(equal.values())
    if len(clusters) > _MOST_COMPARED:
        clusters.sort(key=lambda tasks: tuple(str(step) for step in paths[tasks[0]]))
        size = -(-len(clusters) // _MOST_COMPARED)
        runs = (clusters[start : start + size] for start in range(0, len(clusters), size))
        clusters = [[task for cluster in run for task in cluster] for run in runs]
    clusters = _merged(clusters, {tasks[0]: frozenset(paths[tasks[0]]) for tasks in clusters}, most)
    return sorted(
        (tuple(sorted(tasks, key=place.__getitem__)) for tasks in clusters), key=lambda tasks: place[tasks[0]]
    )


def _merged(clusters: Sequence[list[Task]], steps: Mapping[Task, frozenset[Hashable]], most: int) -> list[list[Task]]:
    """Puts the two most alike together until `most` are left; large ones last, so that none takes all."""
    members = dict(enumerate(clusters))
    alike = {
        pair: float(len(steps[members[pair[0]][0]] & steps[members[pair[1]][0]])) for pair in combinations(members, 2)
    }
    weight = dict.fromkeys(members, 1)
    while len(members) > most:
        first, second = max(alike, key=lambda pair: (alike[pair] + 1) / (len(members[pair[0]]) + len(members[pair[1]])))
        for other in members.keys() - {first, second}:  # average linkage
            one, two = (min(first, other), max(first, other)), (min(second, other), max(second, other))
            total = weight[first] + weight[second]
            alike[one] = (alike[one] * weight[first] + alike[two] * weight[second]) / total
            del alike[two]
        del alike[first, second]
        weight[first] += weight.pop(second)
        members[first] += members.pop(second)
    return list(members.values())
