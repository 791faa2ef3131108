from __future__ import annotations

import random
from itertools import pairwise

import pytest

from munet.report.graph import folds
from munet.report.graph.pictures import Picture, Piece, Slots, pictures_of, slots_of


def made(num_tasks: int, num_layers: int, seed: int = 0) -> tuple[list[Piece], Slots, list[Picture]]:
    """A history in which tasks come one after the other and clone, insert and share at random; layer 3 is an insert."""
    rng = random.Random(seed)
    last_frame = 2 * num_tasks
    pieces = [Piece(layer, None, 0, last_frame) for layer in range(1, num_layers - 1) if layer != 3]
    paths: list[tuple[int, list[int]]] = []
    final: dict[int, list[int]] = {}
    for task in range(num_tasks):
        for candidate in range(2):
            source = list(final[rng.randrange(task)] if task else range(len(pieces[: num_layers - 3])))
            for place, piece in enumerate(source):
                if rng.random() < 0.3:
                    end = 2 * task if candidate == 0 else last_frame
                    pieces.append(Piece(pieces[piece].layer, task, 2 * task + candidate, end))
                    source[place] = len(pieces) - 1
            if rng.random() < 0.4 and not any(pieces[piece].layer == 3 for piece in source):
                pieces.append(Piece(3, task, 2 * task + candidate, last_frame if candidate else 2 * task))
                source = sorted([*source, len(pieces) - 1], key=lambda piece: pieces[piece].layer)
            paths.append((task, source))
        final[task] = paths[-1][1]
    slots = slots_of(pieces, paths, num_tasks, num_layers)
    return pieces, slots, pictures_of(slots, final, [60.0] * len(slots.layer))


def test_pieces_of_one_slot_are_never_shown_together() -> None:
    pieces, slots, _ = made(8, 7)
    by_slot: dict[int, list[Piece]] = {}
    for piece, slot in zip(pieces, slots.of_piece, strict=True):
        by_slot.setdefault(slot, []).append(piece)
        assert slots.layer[slot] == piece.layer
    for together in by_slot.values():
        assert len({(piece.layer, piece.owner) for piece in together}) == 1
        ordered = sorted(together, key=lambda piece: piece.first)
        assert all(one.last < other.first for one, other in pairwise(ordered))
    assert any(len(together) > 1 for together in by_slot.values())


@pytest.mark.parametrize(("num_tasks", "num_layers"), [(1, 5), (5, 7), (20, 13), (50, 8)])
def test_every_way_leads_upwards_through_boxes_that_do_not_overlap(num_tasks: int, num_layers: int) -> None:
    _, slots, pictures = made(num_tasks, num_layers)
    for picture in pictures:
        box_of = {slot: index for index, box in enumerate(picture.boxes) for slot in box.slots}
        for _, way in slots.ways:
            rows = [picture.boxes[box].row for box in dict.fromkeys(box_of[slot] for slot in way)]
            assert rows == sorted(set(rows))
        assert [layer for row in picture.rows for layer in row] == list(range(num_layers))
        for row in range(len(picture.rows)):
            boxes = sorted((box for box in picture.boxes if box.row == row), key=lambda box: box.x)
            assert all(a.x + a.width / 2 <= b.x - b.width / 2 for a, b in pairwise(boxes))
        assert all(
            box.x - box.width / 2 + 1e-6 >= 0 and box.x + box.width / 2 <= picture.width + 1e-6 for box in picture.boxes
        )
        assert sorted(task for group in picture.groups for task in group) == list(range(num_tasks))


def test_many_tasks_fit_a_window_and_every_task_can_be_reached() -> None:
    _, _, pictures = made(70, 9)
    assert len(pictures[0].groups) <= folds.MOST_COLUMNS
    assert pictures[0].width < 1450  # the worst there is: nothing is alike; unfolded it is 8,000
    alone = {group[0] for picture in pictures for group in picture.groups if len(group) == 1}
    assert alone == set(range(70))


def test_few_tasks_are_not_folded() -> None:
    _, slots, pictures = made(4, 7)
    (picture,) = pictures
    assert picture.groups == ((0,), (1,), (2,), (3,))
    assert all(len(box.slots) == 1 for box in picture.boxes)
    assert len(picture.boxes) == len([users for users in slots.users() if users])


def test_tasks_with_equal_paths_are_folded_first() -> None:
    paths = {task: ("a", "b", "c" if task % 2 else f"own {task % 4}") for task in range(20)}
    groups = folds.groups_of(paths, most=3)
    assert groups == [tuple(range(0, 20, 4)), tuple(range(1, 20, 2)), tuple(range(2, 20, 4))]
    assert len(folds.groups_of(paths, most=2)) == 2


def test_a_block_and_what_is_below_it_are_one_row_of_a_folded_picture() -> None:
    num_tasks, num_layers = 20, 14
    pieces = [Piece(layer, None, 0, 40) for layer in range(1, num_layers - 1) if layer != 4]
    own = [Piece(4, task, 2 * task, 40) for task in range(num_tasks)]
    numbers = list(range(len(pieces)))
    paths = [(task, [*numbers[:3], len(pieces) + task, *numbers[3:]]) for task in range(num_tasks)]
    slots = slots_of([*pieces, *own], paths, num_tasks, num_layers)
    units = [0, 1, 2, 3, 5, 5, *range(6, 15)]
    folded = pictures_of(slots, dict(paths), [60.0] * len(slots.layer), units)[0]
    assert any({4, 5} <= set(row) for row in folded.rows)
    assert len(folded.rows) < num_layers
