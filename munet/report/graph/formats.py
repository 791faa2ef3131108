"""The layer graph as text for programs: JSON, stable and documented in docs/graph.md, and Graphviz' DOT language."""

from __future__ import annotations

import json
from typing import Any

from munet.report import drawing
from munet.report.graph.graph import Graph, Node
from munet.text import printable


def to_json_text(graph: Graph) -> str:
    """The graph as indented JSON text."""
    return json.dumps(to_json(graph), indent=2) + "\n"


def to_json(graph: Graph) -> dict[str, Any]:
    """The graph as JSON values; keys are only ever added."""
    return {
        "format": "munet-graph",
        "version": 1,
        "num_params": graph.num_params,
        "layers": list(graph.layers),
        "tasks": [
            {
                "name": task.name,
                "num_classes": task.num_classes,
                "model": task.model,
                "quality": task.quality.value,
                "test_quality": task.test_quality.value if task.test_quality else None,
                "quality_metric": task.quality.metric,
            }
            for task in graph.tasks
        ],
        "nodes": [
            {
                "id": node.id,
                "kind": node.kind,
                "layer": node.layer,
                "params": node.params,
                "trained_last": node.trained_last,
                "num_tasks_trained": node.num_tasks_trained,
                "tasks": list(node.tasks),
                "components": [
                    {
                        "id": part.id,
                        "name": part.name,
                        "params": part.params,
                        "origin": part.origin,
                        "cycles": dict(part.cycles),
                        **({"base": {"id": part.base.id, "params": part.base.params}} if part.base else {}),
                    }
                    for part in node.parts
                ],
            }
            for node in graph.nodes
        ],
        "edges": [{"source": edge.source, "target": edge.target, "task": edge.task} for edge in graph.edges],
    }


def to_dot(graph: Graph) -> str:
    """DOT text: input at the bottom, one rank per layer, one coloured edge per task and step."""
    numbers = {task.name: task.number for task in graph.tasks}
    lines = [
        "digraph munet {",
        "  rankdir=BT;",
        "  outputorder=edgesfirst;",
        '  node [shape=box, style="filled,rounded", fontname="Helvetica", fontsize=11, color="#5B626B"];',
        "  edge [arrowhead=none, penwidth=2];",
    ]
    for layer, name in enumerate(graph.layers):
        members = [node for node in graph.nodes if node.layer == layer]
        lines.append(f"  {{ rank=same;  // {name}")
        for node in members:
            owner = node.tasks[0] if node.kind != "component" else node.trained_last
            fill = drawing.owner_style(owner, numbers).colour
            lines.append(
                f"    {_quote(node.id)} [label={_quote(label(graph, node))}, fillcolor={_quote(fill)}, "
                f"fontcolor={_quote(drawing.text_colour(fill))}, tooltip={_quote(f'{node.params:,} parameters')}];"
            )
        lines.append("  }")
    for edge in graph.edges:
        style = drawing.task_style(numbers[edge.task])
        pattern = ", style=dashed" if style.dash else ""
        lines.append(
            f"  {_quote(edge.source)} -> {_quote(edge.target)} "
            f"[color={_quote(style.colour)}{pattern}, tooltip={_quote(edge.task)}];"
        )
    return "\n".join([*lines, "}", ""])


def label(graph: Graph, node: Node) -> str:
    """What a node says without its layer's name beside it."""
    if node.kind == "task":
        return node.tasks[0]
    if node.kind == "head":
        task = next(task for task in graph.tasks if task.name == node.tasks[0])
        return ", ".join(task.measured())
    return f"{graph.layers[node.layer]} ({node.num_tasks_trained})"


def _quote(text: str) -> str:
    """A DOT string: JSON's escapes of quotes and backslashes are DOT's too."""
    return json.dumps(printable(text), ensure_ascii=False)
