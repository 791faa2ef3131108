"""A frame of a run's history as a picture: what the graph page shows at a step of its slider, boxes at their places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from munet.report import drawing
from munet.report.drawing import FAINT, HAIRLINE, INK, ROOT_COLOUR, label, text_width

_BOX, _ROW, _GAP = 38.0, 78.0, 5.5  # of a box, from row to row, between lines
_MARGIN, _TOP, _FOOT = 24.0, 74.0, 34.0
_LINE = 2.6
_FRESH = "#F0B429"  # the rim of what is new


@dataclass(frozen=True)
class _Line:
    """Tasks of one group on their way from box to box."""

    start: int
    end: int
    group: int


class Frames:
    """The pictures of a history, all of one size.

    Args:
      data: what `graph/page.py` has worked out for the page.
    """

    def __init__(self, data: Mapping[str, Any]):
        self._data = data
        self._tasks, self._nodes, self._models = data["tasks"], data["nodes"], data["models"]
        self._picture = data["pictures"][0]
        self._boxes = self._picture["boxes"]
        self._box_of = {slot: index for index, box in enumerate(self._boxes) for slot in box[3]}
        self._group_of = {task: index for index, group in enumerate(self._picture["groups"]) for task in group}
        self._bends = {(start, end): xs for start, end, xs in self._picture["bends"]}
        self._top = len(data["layers"]) - 1
        self._systems: list[dict[int, int]] = []
        for frame in data["frames"]:
            before = self._systems[-1] if self._systems else {}
            now = {**before, **dict(frame["changed"])}
            self._systems.append({task: model for task, model in now.items() if model >= 0})
        names = [self._row_name(row) for row in range(len(self._picture["rows"]))]
        self._left = _MARGIN + max(text_width(name, 12) for name in names) + 20
        words = max(text_width(drawing.short(text, 90), size) for frame in data["frames"] for text, size in
                    ((frame["words"], 17), (frame["more"], 12)))  # fmt: skip
        self.width = max(self._left + self._picture["width"] + _MARGIN, words + 2 * _MARGIN + 120)
        self.height = _TOP + len(names) * _ROW + _FOOT

    def __len__(self) -> int:
        return len(self._systems)

    def svg(self, step: int) -> str:
        """The picture after a journal entry, by its place."""
        frame, system = self._data["frames"][step], self._systems[step]
        before = self._shown(self._systems[step - 1]) if step else set()
        inside, users, lines = self._scene(system)
        done = (step + 1) / len(self) * (self.width - 2 * _MARGIN)
        parts = [
            *drawing.head(self.width, self.height, frame["words"]),
            label(_MARGIN, 38, drawing.short(frame["words"], 90), size=17, weight="600"),
            label(_MARGIN, 59, drawing.short(frame["more"], 90), size=12, fill=FAINT),
            label(self.width - _MARGIN, 38, f"{step + 1} of {len(self)}", size=12, fill=FAINT, anchor="end"),
            label(self.width - _MARGIN, 59, f"{frame['params']:,} parameters", size=12, fill=FAINT, anchor="end"),
            *(self._rung(row) for row in range(len(self._picture["rows"]))),
            *self._ways(lines),
            *(self._box(index, system, inside[index], users[index], before) for index in range(len(self._boxes))),
            f'<rect x="{_MARGIN}" y="{self.height - 16}" width="{self.width - 2 * _MARGIN:.1f}" height="4" rx="2" '
            f'fill="{HAIRLINE}"/>',
            f'<rect x="{_MARGIN}" y="{self.height - 16}" width="{done:.1f}" height="4" rx="2" fill="{FAINT}"/>',
        ]
        return "\n".join([*parts, "</svg>", ""])

    def _shown(self, system: Mapping[int, int]) -> set[int]:
        models = (self._models[model] for model in system.values())
        return {node for model in models for node in (*model["path"], model["head"])}

    def _scene(self, system: Mapping[int, int]) -> tuple[list[set[int]], list[set[int]], list[_Line]]:
        """Nodes in every box, tasks through it, and the lines between boxes."""
        inside: list[set[int]] = [set() for _ in self._boxes]
        users: list[set[int]] = [set() for _ in self._boxes]
        lines: dict[_Line, None] = {}
        for task, model in system.items():
            last = self._box_of[task]
            users[last].add(task)
            for node in (*self._models[model]["path"], self._models[model]["head"]):
                is_head = self._nodes[node]["layer"] == self._top
                box = self._box_of[len(self._tasks) + task if is_head else self._nodes[node]["slot"]]
                inside[box].add(node)
                users[box].add(task)
                if box != last:
                    lines[_Line(last, box, self._group_of[task])] = None
                last = box
        return inside, users, list(lines)

    def _y(self, row: int) -> float:
        return _TOP + (len(self._picture["rows"]) - 1 - row) * _ROW + _ROW / 2

    def _row_name(self, row: int) -> str:
        names = [self._data["layers"][layer] for layer in self._picture["rows"][row]]
        return f"{names[0]} to {names[-1]}" if len(names) > 2 else ", ".join(names)

    def _rung(self, row: int) -> str:
        y = self._y(row)
        return (
            f'<line x1="{self._left:.1f}" y1="{y:.1f}" x2="{self.width - _MARGIN:.1f}" y2="{y:.1f}" '
            f'stroke="{HAIRLINE}"/>{label(_MARGIN, y + 4, self._row_name(row), size=12, fill=FAINT)}'
        )

    def _ways(self, lines: Sequence[_Line]) -> list[str]:
        starts, ends = self._ports(lines, is_start=True), self._ports(lines, is_start=False)
        rims: dict[tuple[int, int], list[str]] = {}  # of lines side by side before the lines themselves
        paints: dict[tuple[int, int], list[str]] = {}
        for line in lines:
            beside = sorted((o for o in lines if (o.start, o.end) == (line.start, line.end)), key=self._order)
            shift = (beside.index(line) - (len(beside) - 1) / 2) * _GAP
            row = self._boxes[line.start][0]
            x, y = self._left + starts[line], self._y(row) - _BOX / 2
            path = [f"M{x:.1f} {y:.1f}"]
            for step, bend in enumerate(self._bends.get((line.start, line.end), ()), start=1):
                to, passed = self._left + bend + shift, self._y(row + step)
                path += [drawing.rising_curve(x, y, to, passed + _BOX / 2), f"V{passed - _BOX / 2:.1f}"]
                x, y = to, passed - _BOX / 2
            end = self._left + ends[line], self._y(self._boxes[line.end][0]) + _BOX / 2
            path.append(drawing.rising_curve(x, y, *end))
            group = self._picture["groups"][line.group]
            style = self._tasks[group[0]] if len(group) == 1 else None
            colour, dash = (style["colours"][0], style["dash"]) if style else (FAINT, "")
            pattern = f' stroke-dasharray="{dash}"' if dash else ""
            way = f'<path d="{" ".join(path)}" fill="none" stroke='
            rims.setdefault((line.start, line.end), []).append(f'{way}"#FFFFFF" stroke-width="{_LINE + 2.4:g}"/>')
            paints.setdefault((line.start, line.end), []).append(f'{way}"{colour}" stroke-width="{_LINE:g}"{pattern}/>')
        return [part for ends in rims for part in (*rims[ends], *paints[ends])]

    def _ports(self, lines: Sequence[_Line], *, is_start: bool) -> dict[_Line, float]:
        """Where each line leaves, or enters, its box: sorted by where it goes."""

        def towards(line: _Line) -> tuple[float, float]:
            bends = self._bends.get((line.start, line.end), ())
            to = (bends[0] if bends else self._boxes[line.end][1]) if is_start else (
                bends[-1] if bends else self._boxes[line.start][1]
            )  # fmt: skip
            return to, self._order(line)

        found: dict[_Line, float] = {}
        for index, (_, x, width, _) in enumerate(self._boxes):
            mine = sorted((o for o in lines if (o.start if is_start else o.end) == index), key=towards)
            step = min(_GAP, (width - 20) / max(len(mine), 1))
            found |= {line: x + (place - (len(mine) - 1) / 2) * step for place, line in enumerate(mine)}
        return found

    def _order(self, line: _Line) -> float:
        """From left to right at the bottom."""
        first = self._picture["groups"][line.group][0]
        return float(self._boxes[self._box_of[first]][1])

    def _box(self, index: int, system: Mapping[int, int], nodes: set[int], users: set[int], before: set[int]) -> str:
        row, x, width, slots = self._boxes[index]
        is_task, is_head = row == 0, row == len(self._picture["rows"]) - 1
        if not users and not is_task:
            return ""
        tasks = [slot % len(self._tasks) for slot in slots] if is_task or is_head else []
        owner = self._owner(nodes) if not tasks else tasks[0] if len(tasks) == 1 else -2
        colour = ROOT_COLOUR if owner == -1 else FAINT if owner == -2 else self._tasks[owner]["colours"][0]
        is_filled = not tasks and owner != -2
        fill = colour if is_filled else "#FFFFFF"
        edge = HAIRLINE if not users else _FRESH if not is_task and nodes - before else colour
        ink = FAINT if not users else drawing.text_colour(fill) if is_filled else INK
        main, detail = self._texts(tasks, is_task, system, nodes, owner)
        centre, top = self._left + x, self._y(row) - _BOX / 2
        whose = ""
        if is_head:
            name = self._tasks[tasks[0]]["short"] if len(tasks) == 1 else f"{len(tasks)} heads"
            whose = label(centre, top - 6, name, size=11, fill=FAINT, anchor="middle")
        return (
            f'<rect x="{centre - width / 2:.1f}" y="{top:.1f}" width="{width:.1f}" height="{_BOX:g}" '
            f'rx="{_BOX / 2 if is_task else 6:g}" fill="{fill}" stroke="{edge}" '
            f'stroke-width="{3 if edge == _FRESH else 2}"/>'
            + label(centre, top + 16, main, size=13, fill=ink, anchor="middle", weight="600")
            + label(centre, top + 31, detail, size=11, fill=ink, anchor="middle")
            + whose
        )

    def _owner(self, nodes: set[int]) -> int:
        """The task that trained a box's content last; -1: the root's; -2: there are several."""
        return int(self._nodes[next(iter(nodes))]["owner"]) if len(nodes) == 1 else -2

    def _texts(
        self, tasks: Sequence[int], is_task: bool, system: Mapping[int, int], nodes: set[int], owner: int
    ) -> tuple[str, str]:
        if is_task:
            if len(tasks) > 1:
                return f"{len(tasks)} tasks", f"{sum(task in system for task in tasks)} solved"
            task = self._tasks[tasks[0]]
            return task["short"], f"{task['classes']:,} classes"
        if tasks:
            models = [self._models[system[task]] for task in tasks if task in system]
            return f"val {_span(models, 0)}", f"test {_span(models, 1)}"
        parts = {part for node in nodes for part in self._nodes[node]["parts"]}
        params = sum(self._data["parts"][part]["params"] for part in parts)
        if owner == -2:
            return f"{len(nodes)} layers", f"{params:,}"
        node = self._nodes[next(iter(nodes))]
        return "root" if owner == -1 else f"{self._tasks[owner]['short']} ({node['trained']})", f"{params:,}"


def _span(models: Sequence[Mapping[str, Any]], which: int) -> str:
    known = [model["values"][which] for model in models if model["values"][which] is not None]
    if not known:
        return "-"
    return f"{known[0]:.1%}" if min(known) == max(known) else f"{min(known):.0%}-{max(known):.0%}"
