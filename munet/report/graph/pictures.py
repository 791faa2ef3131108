"""Where the graph page's boxes stand: one layout over all frames, so that a box keeps its place while a run goes by.

A *slot* is a place of a layer: components that one task trained there one after the other share it, for no frame
shows two of them. A *picture* is an arrangement of all slots into boxes: one a slot where everything is unfolded; else
all that is used by the same groups of tasks is one box. Knows no records: components are numbers.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from munet.report.graph import folds, layered

_LINE_GAP, _BOX_GAP, _FOLDED_GAP = 5.5, 22.0, 14.0
_MOST_IN_A_ROW = 9  # boxes of a folded row; of more, what several groups use is one
_FIRST_INNER = 2  # rows that are never put together with others: the tasks, and what is above them
_MOST_ROWS = 10  # of more, neighbouring rows that look the same are one
_Key = tuple[frozenset[int], int]  # of a box: groups that use it, and its slot if it stands for one
_STACK_WIDTH = 98.0  # for `click to unfold`, `val 88-99%`
_STACK = -1  # instead of the slot: it stands for all that these groups use
_MOST_UNFOLDED = 40  # tasks that are also drawn all unfolded


@dataclass(frozen=True)
class Piece:
    """A component, or several that are always used together, as some frames show it.

    Attributes:
      layer: from 1 (above the tasks) to the number of layers - 2 (below the heads).
      owner: the task that trained it last; None: the root's.
      first, last: the frames between which it is shown, both included.
    """

    layer: int
    owner: int | None
    first: int
    last: int


@dataclass(frozen=True)
class Box:
    """A box of a picture.

    Attributes:
      row: from 0 at the bottom.
      x, width: centre and width in pixels.
      slots: that it stands for.
      tasks: whose paths ever lead through it.
    """

    row: int
    x: float
    width: float
    slots: tuple[int, ...]
    tasks: tuple[int, ...]


@dataclass(frozen=True)
class Picture:
    """An arrangement of all slots.

    Attributes:
      groups: of tasks; those of one task are unfolded.
      rows: the layers of each row, bottom to top.
      boxes: all of them.
      bends: of the links that pass rows: x in each of them, by the numbers of the boxes.
      width: in pixels.
    """

    groups: tuple[tuple[int, ...], ...]
    rows: tuple[tuple[int, ...], ...]
    boxes: tuple[Box, ...]
    bends: Mapping[tuple[int, int], tuple[float, ...]]
    width: float


@dataclass(frozen=True)
class Slots:
    """The slots of all layers.

    Attributes:
      layer: of each slot: first those of the tasks, then those of their heads, one each, then components'.
      of_piece: the slot of each piece.
      num_tasks: solved or not.
      ways: of each task through slots, over all frames, every one once.
    """

    layer: tuple[int, ...]
    of_piece: tuple[int, ...]
    num_tasks: int
    ways: tuple[tuple[int, tuple[int, ...]], ...]

    def users(self) -> list[set[int]]:
        """The tasks that ever lead through each slot; a task's own is there before it is solved."""
        users: list[set[int]] = [{slot} if slot < self.num_tasks else set() for slot in range(len(self.layer))]
        for task, way in self.ways:
            for slot in way:
                users[slot].add(task)
        return users


def slots_of(
    pieces: Sequence[Piece], paths: Sequence[tuple[int, Sequence[int]]], num_tasks: int, num_layers: int
) -> Slots:
    """Slots for pieces: two of one layer and owner share one if no frame shows both.

    Args:
      pieces: what frames show between tasks and heads.
      paths: every (task, pieces from bottom to top) that some frame shows.
      num_tasks: tasks, solved or not.
      num_layers: those of tasks and heads included.
    """
    layer = [0] * num_tasks + [num_layers - 1] * num_tasks
    of_piece = [-1] * len(pieces)
    last: dict[int, int] = {}
    by_owner: dict[tuple[int, int | None], list[int]] = {}
    for index in sorted(range(len(pieces)), key=lambda index: (pieces[index].first, index)):
        piece = pieces[index]
        mine = by_owner.setdefault((piece.layer, piece.owner), [])
        free = [slot for slot in mine if last[slot] < piece.first] if piece.owner is not None else []
        slot = free[0] if free else len(layer)
        if not free:
            layer.append(piece.layer)
            mine.append(slot)
        of_piece[index], last[slot] = slot, piece.last
    ways = {(task, (task, *(of_piece[piece] for piece in path), num_tasks + task)): None for task, path in paths}
    return Slots(tuple(layer), tuple(of_piece), num_tasks, tuple(ways))


def pictures_of(
    slots: Slots, final: Mapping[int, Sequence[int]], widths: Sequence[float], units: Sequence[int] = ()
) -> list[Picture]:
    """The pictures of a history: the folded one, then one for each group that can be opened; unfolded if it is small.

    Args:
      slots: of all frames.
      final: the pieces of each solved task's path in the last frame; decides which tasks are alike.
      widths: that each slot's text needs.
      units: a number for each layer; in a folded picture of many rows those of a number, a block with what is inserted
        below it, are one row; none: each is alone.
    """
    tasks = range(slots.num_tasks)
    alike: dict[int, tuple[Hashable, ...]] = {task: tuple(final.get(task, ())) for task in tasks}
    folded = [tuple(group) for group in folds.groups_of(alike)]
    partitions = _unfolded(folded, alike)
    if len(partitions) > 1 and slots.num_tasks <= _MOST_UNFOLDED:
        partitions.append([(task,) for task in tasks])
    units = units or range(max(slots.layer) + 1)
    return [_picture(slots, groups, widths, units) for groups in partitions]


def _unfolded(groups: list[tuple[int, ...]], paths: Mapping[int, folds.Path]) -> list[list[tuple[int, ...]]]:
    """The groups, then with each of them unfolded in its turn; a large one into smaller ones, and so on."""
    found = [groups]
    for number, group in enumerate(groups):
        if len(group) > 1:
            inside = folds.groups_of({task: paths[task] for task in group})
            if len(inside) == 1:  # all are equal: in the run's order
                size = -(-len(group) // folds.MOST_COLUMNS)
                inside = [group[start : start + size] for start in range(0, len(group), size)]
            around = [*groups[:number], *inside, *groups[number + 1 :]]
            found.append(around)
            for deeper in _unfolded(inside, paths)[1:]:
                found.append([*groups[:number], *deeper, *groups[number + 1 :]])
    return found


def _picture(slots: Slots, groups: Sequence[tuple[int, ...]], widths: Sequence[float], units: Sequence[int]) -> Picture:
    group_of = {task: number for number, group in enumerate(groups) for task in group}
    users = slots.users()
    is_folded = len(groups) < slots.num_tasks
    num_layers = max(slots.layer) + 1
    layers: list[dict[_Key, list[int]]] = [{} for _ in range(num_layers)]
    for slot, layer in enumerate(slots.layer):
        if users[slot]:
            among = frozenset(group_of[task] for task in users[slot])
            is_stack = is_folded and (len(among) > 1 or any(len(groups[number]) > 1 for number in among))
            layers[layer].setdefault((among, _STACK if is_stack else slot), []).append(slot)
    for content in layers:
        if is_folded and len(content) > _MOST_IN_A_ROW:
            several = [key for key in content if len(key[0]) > 1]
            together = [slot for key in several for slot in content.pop(key)]
            content |= {(frozenset(), _STACK): together} if together else {}
    rows: list[tuple[tuple[int, ...], dict[_Key, list[int]]]] = []
    for number, content in enumerate(layers):
        rows.append(((number,), content))
        if not is_folded or num_layers <= _MOST_ROWS or not 2 < number < num_layers - 1:
            continue
        if units[number] == units[number - 1] and (joined := _joined(rows[-2][1], content, slots, is_strict=False)):
            rows[-2:] = [((*rows[-2][0], number), joined)]
        is_block_done = units[number] != units[number + 1]
        if (
            is_block_done
            and len(rows) > _FIRST_INNER + 1
            and (joined := _joined(rows[-2][1], rows[-1][1], slots, is_strict=True))
        ):
            rows[-2:] = [((*rows[-2][0], *rows[-1][0]), joined)]
    return _arranged(groups, [row for _, row in rows], [layer for layer, _ in rows], slots, users, widths)


def _joined(
    lower: Mapping[_Key, list[int]], upper: Mapping[_Key, list[int]], slots: Slots, *, is_strict: bool
) -> dict[_Key, list[int]] | None:
    """Two rows as one, each lower box in the upper one that it leads to; None if one leads to several.

    Args:
      lower, upper: slots by box.
      slots: with the ways through them.
      is_strict: not if two lower boxes lead to one, or an upper one would be without a lower one, either.
    """
    low = {slot: key for key, found in lower.items() for slot in found}
    high = {slot: key for key, found in upper.items() for slot in found}
    leads_to: dict[_Key, set[_Key]] = {key: set() for key in lower}
    for _, way in slots.ways:
        from_, to = ({places[slot] for slot in way if slot in places} for places in (low, high))
        for key in from_:
            leads_to[key] |= to
    if any(len(found) != 1 for found in leads_to.values()):
        return None
    into = {key: next(iter(found)) for key, found in leads_to.items()}
    if is_strict and not len(set(into.values())) == len(lower) == len(upper):
        return None
    return {key: [*(slot for low in lower if into[low] == key for slot in lower[low]), *upper[key]] for key in upper}


def _arranged(
    groups: Sequence[tuple[int, ...]],
    rows: Sequence[Mapping[_Key, list[int]]],
    members: Sequence[tuple[int, ...]],
    slots: Slots,
    users: Sequence[set[int]],
    widths: Sequence[float],
) -> Picture:
    """Places the boxes by their links over all frames; a group is one line."""
    group_of = {task: number for number, group in enumerate(groups) for task in group}
    content = [(row, tuple(found)) for row, layer in enumerate(rows) for found in layer.values()]
    box_of = {slot: number for number, (_, found) in enumerate(content) for slot in found}
    lines: dict[tuple[int, int], set[int]] = {}
    for task, way in slots.ways:
        for ends in pairwise(box_of[slot] for slot in way):
            if ends[0] != ends[1]:
                lines.setdefault(ends, set()).add(group_of[task])
    used_by = [{task for slot in found for task in users[slot]} for _, found in content]
    room = {}
    for number, ((_, found), used) in enumerate(zip(content, used_by, strict=True)):
        lines_room = _LINE_GAP * len({group_of[task] for task in used}) + 20
        texts = max(widths[slot] for slot in found)
        room[str(number)] = max(texts, lines_room, _STACK_WIDTH if len(found) > 1 else 0.0)
    named = [[str(number) for number, (row, _) in enumerate(content) if row == index] for index in range(len(rows))]
    links = [layered.Link(str(low), str(high), len(through)) for (low, high), through in lines.items()]
    placed = layered.arrange(
        named, room, links, gap=_FOLDED_GAP if len(groups) < slots.num_tasks else _BOX_GAP, line_gap=_LINE_GAP
    )
    boxes = tuple(
        Box(row, placed.x[str(number)], room[str(number)], found, tuple(sorted(used)))
        for number, ((row, found), used) in enumerate(zip(content, used_by, strict=True))
    )
    bends = {(int(low), int(high)): xs for (low, high), xs in placed.bends.items() if xs}
    return Picture(tuple(groups), tuple(members), boxes, bends, placed.width)
