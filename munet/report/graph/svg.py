"""The layer graph as a plain SVG: no script, no fonts, no dependency, light background (paper Fig. 2 and 9)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from munet.quality import metric_words
from munet.report import drawing
from munet.report.drawing import FAINT, HAIRLINE, INK, label, text_width
from munet.report.graph import layered
from munet.report.graph.graph import Graph, Node

_BOX_HEIGHT, _ROW = 36.0, 92.0
_MARGIN, _TITLE_HEIGHT, _LEGEND_LINE = 24.0, 74.0, 22.0
_LINE, _LINE_GAP = 2.6, 5.5  # width of a path, and distance of two beside each other
_GAP = 26.0  # between two boxes
_ABOVE = 10.5  # pixels of the names above heads
MOST_TASKS = 40  # that reports draw as one picture; more are wider than any window


@dataclass(frozen=True)
class _Text:
    """The two lines of a box, and what stands above it."""

    main: str
    detail: str
    above: str = ""


@dataclass(frozen=True)
class _Wire:
    """One task's way from box to box: centre points of its bends included."""

    source: str
    target: str
    task: int


def to_svg(graph: Graph) -> str:
    """The picture. Boxes are `<g class="node" data-id=...>`, paths `<path class="path" data-task=...>`."""
    texts = {node.id: _text(graph, node) for node in graph.nodes}
    widths = {node.id: _box_width(node, texts[node.id]) for node in graph.nodes}
    rows = [[node.id for node in graph.nodes if node.layer == layer] for layer in range(len(graph.layers))]
    bundles: dict[tuple[str, str], list[str]] = {}
    for edge in graph.edges:
        bundles.setdefault((edge.source, edge.target), []).append(edge.task)
    links = [layered.Link(source, target, len(tasks)) for (source, target), tasks in bundles.items()]
    placed = layered.arrange(rows, widths, links, gap=_GAP, line_gap=_LINE_GAP)

    labels_width = max(text_width(name, 12) for name in graph.layers) + 20
    legend = _legend_items(graph)
    title = _title(graph)
    inner = max(placed.width, text_width(title[0], 17) - labels_width, text_width(title[1], 12) - labels_width, 340.0)
    left = _MARGIN + labels_width + (inner - placed.width) / 2
    width = _MARGIN + labels_width + inner + _MARGIN
    legend_rows = _wrap(legend, width - 2 * _MARGIN)
    top = _MARGIN + _TITLE_HEIGHT
    bottom = top + (len(rows) - 1) * _ROW + _BOX_HEIGHT
    height = bottom + 34 + len(legend_rows) * _LEGEND_LINE + _MARGIN - 8

    y = {layer: bottom - _BOX_HEIGHT / 2 - layer * _ROW for layer in range(len(rows))}
    parts = [
        *drawing.head(width, height, title[0]),
        label(_MARGIN, _MARGIN + 16, title[0], size=17, weight="600"),
        label(_MARGIN, _MARGIN + 37, title[1], size=12, fill=FAINT),
    ]
    for layer, name in enumerate(graph.layers):
        right = width - _MARGIN
        parts.append(
            f'<line x1="{_MARGIN + labels_width:.1f}" y1="{y[layer]:.1f}" x2="{right:.1f}" y2="{y[layer]:.1f}" '
            f'stroke="{HAIRLINE}"/>'
        )
        parts.append(label(_MARGIN, y[layer] + 4, name, size=12, fill=FAINT))
    parts += _paths(graph, placed, bundles, widths, left, y)
    parts += [
        _box(graph, node, texts[node.id], left + placed.x[node.id], y[node.layer], widths[node.id])
        for node in graph.nodes
    ]
    parts += _legend(legend_rows, bottom + 34)
    return "\n".join([*parts, "</svg>", ""])


def _text(graph: Graph, node: Node) -> _Text:
    task = next(task for task in graph.tasks if task.name == node.tasks[0])
    if node.kind == "task":
        return _Text(task.name, f"{task.num_classes} classes")
    if node.kind == "head":
        return _Text(*task.measured(), task.name)
    if node.trained_last is None:
        return _Text("root", _count(node.params))
    return _Text(f"{node.trained_last} ({node.num_tasks_trained})", _count(node.params))


def _tooltip(graph: Graph, node: Node) -> list[str]:
    task = next(task for task in graph.tasks if task.name == node.tasks[0])
    lines = []
    if node.kind == "task":
        lines.append(f"task {task.name}: {task.num_classes} classes, solved by model {task.model}")
    else:
        lines.append(f"{graph.layers[node.layer]}: {node.params:,} parameters, used by {', '.join(node.tasks)}")
    if node.kind == "head":
        tested = f", test {task.test_quality.value:.2%}" if task.test_quality else ""
        metric = "" if task.quality.metric == "accuracy" else f" {metric_words(task.quality.metric)}"
        counted = f"{task.quality.correct}/{task.quality.counted} right"
        lines.append(f"validation{metric} {task.quality.value:.2%} ({counted}){tested}")
    for part in node.parts:
        history = ", ".join(f"{name} {cycles}" for name, cycles in part.cycles.items()) or "none"
        lines.append(f"{part.name} {part.id[:12]}, {part.origin}, training cycles: {history}")
    return lines


def _title(graph: Graph) -> tuple[str, str]:
    count = len(graph.tasks)
    if not count:
        return "munet: no task is solved yet", "The first phase has not ended."
    mean = sum(task.quality.value for task in graph.tasks) / count
    metric = metric_words(graph.tasks[0].quality.metric)
    shared = graph.num_shared
    return (
        f"One system, {count} task{'s' * (count > 1)}",
        f"{graph.num_params:,} parameters in use, {graph.num_params / count:,.0f} a task · "
        f"{shared} shared component{'s' * (shared != 1)} · mean validation {metric} {mean:.1%}",
    )


def _paths(
    graph: Graph,
    placed: layered.LayeredLayout,
    bundles: Mapping[tuple[str, str], Sequence[str]],
    widths: Mapping[str, float],
    left: float,
    y: Mapping[int, float],
) -> list[str]:
    """Every task's lines; bundles have a white rim so that crossings stay readable."""
    index = {task.name: number for number, task in enumerate(graph.tasks)}
    rank = {name: placed.x[f"task:{name}"] for name in index}  # left to right at the bottom: the order in a bundle
    level = {node.id: node.layer for node in graph.nodes}
    first = {ends: (*bends, placed.x[ends[1]])[0] for ends, bends in placed.bends.items()}
    last = {ends: (placed.x[ends[0]], *bends)[-1] for ends, bends in placed.bends.items()}
    wires = [_Wire(source, target, index[task]) for (source, target), tasks in bundles.items() for task in tasks]
    names = [task.name for task in graph.tasks]

    def ports(node: str, is_top: bool) -> dict[_Wire, float]:
        """The x of every line at the upper or lower side of a box, sorted by where it goes."""
        mine = [wire for wire in wires if (wire.source if is_top else wire.target) == node]
        towards = first if is_top else last
        mine.sort(key=lambda wire: (towards[wire.source, wire.target], rank[names[wire.task]]))
        step = min(_LINE_GAP, (widths[node] - 20) / max(len(mine), 1))
        return {wire: placed.x[node] + (place - (len(mine) - 1) / 2) * step for place, wire in enumerate(mine)}

    starts = {wire: x for node in level for wire, x in ports(node, True).items()}
    ends = {wire: x for node in level for wire, x in ports(node, False).items()}
    rims: dict[tuple[str, str], list[str]] = {ends: [] for ends in bundles}
    lines: dict[tuple[str, str], list[str]] = {ends: [] for ends in bundles}
    for wire in wires:
        bundle = sorted(bundles[wire.source, wire.target], key=rank.__getitem__)
        shift = (bundle.index(names[wire.task]) - (len(bundle) - 1) / 2) * _LINE_GAP
        x, row = left + starts[wire], level[wire.source]
        at = y[row] - _BOX_HEIGHT / 2
        d = [f"M{x:.1f} {at:.1f}"]
        for step, bend in enumerate(placed.bends[wire.source, wire.target], start=1):
            d.append(drawing.rising_curve(x, at, left + bend + shift, y[row + step] + _BOX_HEIGHT / 2))
            x, at = left + bend + shift, y[row + step] - _BOX_HEIGHT / 2
            d.append(f"V{at:.1f}")
        d.append(drawing.rising_curve(x, at, left + ends[wire], y[level[wire.target]] + _BOX_HEIGHT / 2))
        style = drawing.task_style(graph.tasks[wire.task].number)
        dash = f' stroke-dasharray="{style.dash}"' if style.dash else ""
        path = " ".join(d)
        rims[wire.source, wire.target].append(
            f'<path d="{path}" fill="none" stroke="#FFFFFF" stroke-width="{_LINE + 2}"/>'
        )
        lines[wire.source, wire.target].append(
            f'<path class="path" data-task={drawing.xml_attribute(names[wire.task])} d="{path}" fill="none" '
            f'stroke="{style.colour}" stroke-width="{_LINE}"{dash}>'
            f"<title>{drawing.xml_text(names[wire.task])}</title></path>"
        )
    return [part for ends in bundles for part in (*rims[ends], *lines[ends])]


def _box(graph: Graph, node: Node, text: _Text, x: float, y: float, width: float) -> str:
    numbers = {task.name: task.number for task in graph.tasks}
    owner = node.trained_last if node.kind == "component" else node.tasks[0]
    style = drawing.owner_style(owner, numbers)
    is_filled, is_head = node.kind == "component", node.kind == "head"
    fill = style.colour if is_filled else "#FFFFFF"
    ink = drawing.text_colour(fill) if is_filled else INK
    dash = f' stroke-dasharray="{style.dash}"' if style.dash and not is_filled else ""
    tooltip = "\n".join(map(drawing.xml_text, _tooltip(graph, node)))
    radius = _BOX_HEIGHT / 2 if node.kind == "task" else 6
    return (
        f'<g class="node" data-id={drawing.xml_attribute(node.id)} data-kind="{node.kind}">'
        f"<title>{tooltip}</title>"
        f'<rect x="{x - width / 2:.1f}" y="{y - _BOX_HEIGHT / 2:.1f}" width="{width:.1f}" height="{_BOX_HEIGHT:.1f}" '
        f'rx="{radius:g}" fill="{fill}" stroke="{style.colour}" stroke-width="2"{dash}/>'
        + label(x, y - 2, text.main, size=13, fill=ink, anchor="middle", weight="600")
        + label(x, y + 12, text.detail, size=10.5, fill=ink, anchor="middle")
        + (label(x, y - _BOX_HEIGHT / 2 - 7, text.above, size=_ABOVE, fill=FAINT, anchor="middle") if is_head else "")
        + "</g>"
    )


def _legend_items(graph: Graph) -> list[tuple[str, str]]:
    """Pairs of a swatch kind and its explanation; only what the picture shows."""
    items = []
    kinds = {(node.kind, node.trained_last is None) for node in graph.nodes}
    if ("component", True) in kinds:
        items.append(("root", "still the root's parameters, never trained here"))
    if ("component", False) in kinds:
        items.append(("trained", "component, in the colour of the task that trained it last"))
        if {node.trained_last for node in graph.nodes} - {None, *(task.name for task in graph.tasks)}:
            items.append(("forgotten", "trained last by a task that was forgotten since"))
        items.append(("count", "(n)  how many tasks have trained it or what it was cloned from"))
    if graph.tasks:
        items.append(("path", "a task's path through the components"))
        items.append(("head", "head (norm included) with validation and test accuracy"))
    return items


def _wrap(items: Iterable[tuple[str, str]], width: float) -> list[list[tuple[float, str, str]]]:
    """Legend items with their x, broken into rows that fit."""
    rows: list[list[tuple[float, str, str]]] = []
    x = 0.0
    for kind, text in items:
        needed = (0 if kind == "count" else 30) + text_width(text, 10) + 24
        if not rows or x + needed - 24 > width:
            rows.append([])
            x = 0.0
        rows[-1].append((_MARGIN + x, kind, text))
        x += needed
    return rows


def _legend(rows: Sequence[Sequence[tuple[float, str, str]]], top: float) -> list[str]:
    colour = drawing.task_style(0).colour
    parts = []
    for row_index, row in enumerate(rows):
        y = top + row_index * _LEGEND_LINE
        for x, kind, text in row:
            if kind == "path":
                parts.append(
                    f'<line x1="{x}" y1="{y}" x2="{x + 22}" y2="{y}" stroke="{colour}" stroke-width="{_LINE}"/>'
                )
            elif kind != "count":
                grey = {"root": drawing.ROOT_COLOUR, "forgotten": drawing.FORGOTTEN_COLOUR}
                fill = {**grey, "trained": colour, "head": "#FFFFFF"}[kind]
                edge = grey.get(kind, colour)
                parts.append(
                    f'<rect x="{x}" y="{y - 7}" width="22" height="14" rx="3" fill="{fill}" stroke="{edge}" '
                    'stroke-width="2"/>'
                )
            parts.append(label(x + (0 if kind == "count" else 30), y + 4, text, size=11.5, fill=FAINT))
    return parts


def _box_width(node: Node, text: _Text) -> float:
    lines = _LINE_GAP * len(node.tasks) + 20
    above = text_width(text.above, _ABOVE) - _GAP / 2
    return max(text_width(text.main, 13.5) + 22, text_width(text.detail, 10.5) + 22, above, lines, 64.0)


def _count(params: int) -> str:
    """A parameter count in few letters: `384`, `12.9k`, `1.48M`."""
    if params < 1000:
        return f"{params}"
    return f"{params / 1e3:.3g}k" if params < 999_500 else f"{params / 1e6:.3g}M"
