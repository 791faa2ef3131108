"""The layer graph in the format of Google's Model Explorer: a collection of graphs, each a list of nodes."""

from __future__ import annotations

import json
from typing import Any

from munet.report.graph.formats import label
from munet.report.graph.graph import Graph, Node
from munet.text import printable


def to_model_explorer(graph: Graph) -> str:
    """JSON text that `model-explorer FILE` opens; layers are namespaces."""
    return json.dumps(to_collection(graph), indent=2) + "\n"


def to_collection(graph: Graph) -> dict[str, Any]:
    """The one graph as a collection: `label`, and `graphs` with `id` and `nodes`."""
    return {"label": "munet", "graphs": [{"id": "layer graph", "nodes": [_node(graph, node) for node in graph.nodes]}]}


def _node(graph: Graph, node: Node) -> dict[str, Any]:
    sources: dict[str, list[str]] = {}
    for edge in graph.edges:
        if edge.target == node.id:
            sources.setdefault(edge.source, []).append(printable(edge.task))
    return {
        "id": node.id,
        "label": printable(label(graph, node)),
        # A slash would be a level of its own; no name of a task is in it.
        "namespace": graph.layers[node.layer],
        "attrs": [{"key": key, "value": value} for key, value in _attributes(graph, node)],
        "incomingEdges": [
            {
                "sourceNodeId": source,
                "sourceNodeOutputId": "0",
                "targetNodeInputId": str(place),
                "metadata": [{"key": "tasks", "value": ", ".join(tasks)}],
            }
            for place, (source, tasks) in enumerate(sources.items())
        ],
    }


def _attributes(graph: Graph, node: Node) -> list[tuple[str, str]]:
    task = next(task for task in graph.tasks if task.name == node.tasks[0])
    found = [("tasks", ", ".join(map(printable, node.tasks)))]
    if node.kind == "task":
        return [*found, ("classes", f"{task.num_classes}"), ("model", f"{task.model}")]
    if node.kind == "head":
        found.append(("validation", f"{task.quality.value:.2%}"))
        found += [("test", f"{task.test_quality.value:.2%}")] if task.test_quality else []
    found.append(("parameters", f"{node.params:,}"))
    for part in node.parts:
        cycles = ", ".join(f"{printable(name)} {times}" for name, times in part.cycles.items())
        found.append((part.name, f"{part.id}, {part.origin}, {part.params:,} parameters, cycles: {cycles or 'none'}"))
    return found
