from __future__ import annotations

import re
from typing import Any

from munet.report.graph.formats import to_dot


def test_every_node_and_edge_is_declared_once(two_tasks: Any) -> None:
    graph = two_tasks.graph()
    text = to_dot(graph)
    assert re.findall(r'^    ("[^"]+") \[label=', text, re.M) == [f'"{node.id}"' for node in graph.nodes]
    edges = re.findall(r'^  "([^"]+)" -> "([^"]+)" \[.*tooltip="([^"]+)"\];$', text, re.M)
    assert edges == [(edge.source, edge.target, edge.task) for edge in graph.edges]
    assert text.startswith("digraph munet {")
    assert text.count("{") == text.count("}") == 1 + len(graph.layers)
    assert text.count("rank=same") == len(graph.layers)


def test_labels_by_hand(two_tasks: Any) -> None:
    labels = re.findall(r'label="([^"]*)"', to_dot(two_tasks.graph()))
    assert labels == [
        "one",
        "two",
        "input (0)",
        "block 0 (0)",
        "adapter 1 (1)",
        "block 1 (1)",
        "block 1 (2)",
        "val 90.0%, test 50.0%",
        "val 75.0%, test 50.0%",
    ]


def test_quotes_are_escaped(two_tasks: Any) -> None:
    two_tasks.model('a"b\\', two_tasks.models["two"].quality, *two_tasks.models["two"].components.values())
    assert r'"task:a\"b\\" [' in to_dot(two_tasks.graph())
