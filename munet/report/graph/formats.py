"""The layer graph as JSON: stable, documented in docs/graph.md."""

from __future__ import annotations

import json
from typing import Any

from munet.report.graph.graph import Graph


def to_text(graph: Graph) -> str:
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
                    }
                    for part in node.parts
                ],
            }
            for node in graph.nodes
        ],
        "edges": [{"source": edge.source, "target": edge.target, "task": edge.task} for edge in graph.edges],
    }
