"""The graph page: one file that opens without a server and asks for nothing, with every frame of a run in it.

Everything that is drawn is worked out here; the page's script (`assets/graph.html`) only shows it. Names come as JSON
and are shown as text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from munet import pages
from munet.evolution.plan import FORGOTTEN
from munet.quality import metric_words
from munet.report import drawing
from munet.report.graph import pictures
from munet.report.graph.graph import IN_HEAD, Part, part_of, rows_of
from munet.report.history import Frame, History
from munet.text import count, printable
from munet.types import (
    ChildEntry,
    ComponentId,
    CompressionEntry,
    ExtendEntry,
    ForgetEntry,
    GenerationEntry,
    ModelRecord,
    PhaseEntry,
    SeedsEntry,
    TaskInfo,
)
from munet.vit import architecture

_HASH = 16  # digits of a component's id; `munet graph --output=graph.json` has them all
_MOST_VERDICTS = 64  # children of a generation that are listed


def to_page(tasks: Sequence[TaskInfo], history: History) -> str:
    """The page as HTML text.

    Args:
      tasks: of the run, in its order, forgotten ones too.
      history: the run's.
    """
    template = (resources.files("munet") / "assets" / "graph.html").read_text(encoding="utf-8")
    scripts, styles = (pages.elements(kind, template) for kind in ("script", "style"))
    filled = template.replace("POLICY", pages.policy(scripts, styles), 1)
    return filled.replace("DATA", pages.data_text(to_data(tasks, history)), 1)


def to_data(tasks: Sequence[TaskInfo], history: History) -> dict[str, Any]:
    """What the page shows, as JSON values; tables refer to each other by place."""
    return _Table(tasks, history).data()


class _Table:
    """The history with numbers for names: parts, nodes, models."""

    def __init__(self, tasks: Sequence[TaskInfo], history: History):
        self._tasks, self._history, self._forgotten = tasks, history, history.forgotten
        self._number = {info.name: index for index, info in enumerate(tasks)}
        self._rows, self._layers = rows_of(history.shown(), history.trained_last)
        self._parts: dict[ComponentId, int] = {}
        self._part_list: list[dict[str, Any]] = []
        self._nodes: dict[ComponentId, int] = {}
        self._node_list: list[dict[str, Any]] = []
        self._models: list[dict[str, Any]] = []

    def data(self) -> dict[str, Any]:
        """All of it."""
        frames = [self._frame(frame) for frame in self._history.frames]
        nodes, paths, final = self._pieces_of(frames)
        slots = pictures.slots_of(list(nodes.values()), paths, len(self._tasks), len(self._layers))
        of_node = dict(zip(nodes, slots.of_piece, strict=True))
        drawn = pictures.pictures_of(slots, final, self._widths(slots, of_node), self._units())
        return {
            "layers": list(self._layers),
            "tasks": [self._task(index, info) for index, info in enumerate(self._tasks)],
            "parts": self._part_list,
            "nodes": [node | {"slot": of_node.get(number, -1)} for number, node in enumerate(self._node_list)],
            "models": self._models,
            "frames": frames,
            "pictures": [_picture(picture) for picture in drawn],
        }

    def _frame(self, frame: Frame) -> dict[str, Any]:
        words, more = _words(frame)
        children = frame.entry.children if isinstance(frame.entry, GenerationEntry) else ()
        listed = sorted(children, key=lambda child: not child.verdict.is_kept)[:_MOST_VERDICTS]
        changed = {
            self._number[task]: -1 if model is None else self._model(model)
            for task, model in frame.changed.items()
            if task in self._number
        }
        return {
            "words": words,
            "more": more,
            "changed": [list(pair) for pair in changed.items()],
            "candidate": -1 if frame.candidate is None else self._number[frame.candidate],
            "params": frame.num_params,
            "children": [_child(child) for child in listed],
            "left_out": len(children) - len(listed),
        }

    def _model(self, model: ModelRecord) -> int:
        path = [
            self._node([model.components[name] for name in row], layer)
            for layer, row in enumerate(self._rows, start=1)
            if row[0] in model.components
        ]
        head = self._node([model.components[name] for name in IN_HEAD], len(self._layers) - 1)
        quality, tested = model.quality, model.test_quality
        self._models.append(
            {
                "id": model.id,
                "path": path,
                "head": head,
                "validation": "" if quality is None else f"{quality.value:.1%}",
                "test": "" if tested is None else f"{tested.value:.1%}",
                "values": [
                    None if value is None else round(value.value, 6) for value in (quality, tested)
                ],  # for means
                "right": "" if quality is None else _right(quality.correct, quality.counted, quality.metric),
                "tested": "" if tested is None else _right(tested.correct, tested.counted, tested.metric),
            }
        )
        return len(self._models) - 1

    def _node(self, ids: Sequence[ComponentId], layer: int) -> int:
        """The number of a box's content; that of a head is its own component, for norms may be shared."""
        key = ids[-1] if layer == len(self._layers) - 1 else ids[0]
        if key not in self._nodes:
            parts = [part_of(id, self._history.components) for id in ids]
            owners = [task for id in reversed(ids) if (task := self._history.trained_last(id)) is not None]
            self._nodes[key] = len(self._node_list)
            self._node_list.append(
                {
                    "layer": layer,
                    "parts": [self._part(part) for part in parts],
                    "owner": self._number.get(owners[0], -1) if owners else -1,
                    "trained": len({task for part in parts for task in part.cycles}),
                }
            )
        return self._nodes[key]

    def _part(self, part: Part) -> int:
        if part.id not in self._parts:
            base = -1 if part.base is None else self._part(part.base)
            self._parts[part.id] = len(self._part_list)
            self._part_list.append(
                {
                    "name": part.name,
                    "hash": part.id[:_HASH],
                    "params": part.params,
                    "origin": part.origin,
                    "cycles": [
                        [self._number.get(task, printable(task)), cycles] for task, cycles in part.cycles.items()
                    ],
                }
                | ({"base": base} if base >= 0 else {})
            )
        return self._parts[part.id]

    def _pieces_of(
        self, frames: Sequence[Mapping[str, Any]]
    ) -> tuple[dict[int, pictures.Piece], list[tuple[int, list[int]]], dict[int, list[int]]]:
        """The pieces by node, every path through them, and the last frame's by task."""
        lasting: dict[int, list[int]] = {}  # node: first and last frame
        now: dict[int, int] = {}
        ways: list[tuple[int, int]] = []
        since: dict[int, int] = {}

        def end(task: int, frame: int) -> None:
            for node in self._models[now[task]]["path"]:
                span = lasting.setdefault(node, [since[task], frame])
                span[:] = min(span[0], since[task]), max(span[1], frame)

        for place, frame in enumerate(frames):
            for task, model in frame["changed"]:
                if task in now:
                    end(task, place - 1)
                    del now[task]
                if model >= 0:
                    now[task], since[task] = model, place
                    ways.append((task, model))
        for task in now:
            end(task, len(frames) - 1)
        order = {node: index for index, node in enumerate(sorted(lasting))}
        pieces = {
            node: pictures.Piece(
                self._node_list[node]["layer"], None if (owner := self._node_list[node]["owner"]) < 0 else owner, *span
            )
            for node, span in sorted(lasting.items())
        }
        paths = [(task, [order[node] for node in self._models[model]["path"]]) for task, model in ways]
        final = {task: [order[node] for node in self._models[model]["path"]] for task, model in now.items()}
        return pieces, paths, final

    def _units(self) -> list[int]:
        """A number for each layer: blocks have one together with the adapters and low-rank updates below them."""
        inner = (architecture.layer_index(row[0]) for row in self._rows)
        found = [-place if block is None else block for place, block in enumerate(inner, start=2)]
        return [-1, *found, -len(self._layers) - 1]

    def _widths(self, slots: pictures.Slots, of_node: Mapping[int, int]) -> list[float]:
        """What the texts in each slot need."""
        names = [max(drawing.text_width(self._shown(info), 13), 66.0) + 22 for info in self._tasks]
        heads = [max(drawing.text_width(self._shown(info), 11), 76.0) + 16 for info in self._tasks]
        needed = [*names, *heads, *(70.0 for _ in slots.layer[2 * len(names) :])]
        for number, slot in of_node.items():
            owner = self._node_list[number]["owner"]
            if owner >= 0:
                text = f"{self._shown(self._tasks[owner])} (00)"
                needed[slot] = max(needed[slot], drawing.text_width(text, 13) + 20)
        return needed

    def _gone(self, info: TaskInfo) -> str:
        """What stands behind the name of a task that the run has no more."""
        return f" {FORGOTTEN}" if info.name in self._forgotten else ""

    def _shown(self, info: TaskInfo) -> str:
        """A task's name in a box."""
        return drawing.short(info.name) + self._gone(info)

    def _task(self, index: int, info: TaskInfo) -> dict[str, Any]:
        style = drawing.task_style(index)
        dark = drawing.on_dark(style.colour)
        return {
            "name": printable(info.name) + self._gone(info),
            "short": self._shown(info),
            "classes": info.num_classes,
            "colours": [style.colour, drawing.text_colour(style.colour), dark, drawing.text_colour(dark)],
            "dash": style.dash,
            **({"gone": True} if info.name in self._forgotten else {}),
        }


def _words(frame: Frame) -> tuple[str, str]:
    """What a frame is, and a sentence more."""
    entry = frame.entry
    if isinstance(entry, GenerationEntry):
        kept = sum(child.verdict.is_kept for child in entry.children)
        where = f"iteration {entry.position.task_iteration + 1}, generation {entry.position.generation + 1}"
        return f"{printable(entry.task)}: {where}", f"{kept} of {count(len(entry.children), 'child', 'children')} kept"
    if isinstance(entry, PhaseEntry):
        test = f"{entry.test_quality.value:.1%}"
        metric = metric_words(entry.test_quality.metric)
        return f"{printable(entry.task)}: end of the phase", f"model {entry.retained} is retained, test {metric} {test}"
    if isinstance(entry, SeedsEntry):
        best = sorted(entry.fits.items(), key=lambda item: (-item[1], item[0]))[:5]
        fits = ", ".join(f"model {model} {fit:.1%}" for model, fit in best)
        return f"{printable(entry.task)}: seed parents are chosen", f"Best fits: {fits}" if fits else ""
    if isinstance(entry, CompressionEntry):
        return "compression", f"{count(len(entry.models), 'model')} stored in fewer parameters"
    if isinstance(entry, ForgetEntry):
        return f"{printable(entry.task)}: forgotten", f"model {entry.retained} is gone, and what only it used"
    if isinstance(entry, ExtendEntry):
        named = ", ".join(printable(info.name) for info in entry.tasks)
        return "extension", f"{count(len(entry.phases), 'phase')} to come" + (f"; new: {named}" if named else "")
    return "start", "Only the root is there; no task is solved yet."


def _child(child: ChildEntry) -> list[Any]:
    cycle = child.verdict.best_cycle
    quality = "diverged" if cycle is None else f"{child.training.qualities[cycle].value:.1%}"
    mutations = ", ".join(mutation.describe() for mutation in child.plan.mutations if mutation.effective)
    return [
        child.plan.id,
        child.plan.parent,
        int(child.verdict.is_kept),
        quality,
        printable(child.verdict.reason),
        printable(mutations),
    ]


def _picture(picture: pictures.Picture) -> dict[str, Any]:
    return {
        "groups": [list(group) for group in picture.groups],
        "rows": [list(row) for row in picture.rows],
        "boxes": [[box.row, round(box.x, 1), round(box.width, 1), list(box.slots)] for box in picture.boxes],
        "bends": [[*ends, [round(x, 1) for x in xs]] for ends, xs in picture.bends.items()],
        "width": round(picture.width, 1),
    }


def _right(correct: int, counted: int, metric: str) -> str:
    words = "" if metric == "accuracy" else f", {metric_words(metric)}"
    return f"{correct:,} of {counted:,} right{words}"
