"""Shapes and parameters of the paper's networks, as the spec derived them."""

from __future__ import annotations

import math

import pytest

from munet.config.routing import WIDTHS, RoutingExperiment
from munet.methods.gumbel_matrix import components, networks
from munet.methods.gumbel_matrix.network import Network


def sizes(network: Network) -> dict[str, int]:
    return {
        name: sum(math.prod(shape) for shape in components.leaves(chain, inputs).values())
        for name, chain, inputs in network.chains()
    }


def test_mnist() -> None:
    network = networks.mnist()
    assert [shape[0] for shape in network.shapes()] == [28, 12, 5, 3]
    found = sizes(network)
    by_layer = [sum(size for name, size in found.items() if name.startswith(f"layer_{number}")) for number in range(3)]
    assert by_layer == [416, 592, 592]
    assert network.num_features == 36
    assert sum(by_layer) + 4 * 370 == 3_080


def test_omniglot() -> None:
    network = networks.omniglot()
    assert [shape[0] for shape in network.shapes()] == [105, 53, 27, 27, 14, 7, 7, 4, 4]
    assert network.num_features == 768
    found = sizes(network)
    assert sum(found.values()) == 3_339_696
    layers = [sum(size for name, size in found.items() if name.startswith(f"layer_{number}.")) for number in range(8)]
    assert sorted(set(layers)) == [415_968, 415_968 + 2_352]
    assert 769 * 668 == 513_692


def test_clusters() -> None:
    network = networks.clusters()
    assert [shape[0] for shape in network.shapes()] == [32, 16, 8, 4]
    assert network.num_features == 128
    assert sum(sizes(network).values()) == 53_472


@pytest.mark.parametrize("name", WIDTHS)
def test_every_network_can_be_built_and_has_the_components_that_configs_are_checked_by(name: str) -> None:
    network = networks.network(RoutingExperiment(network=name))  # type: ignore[arg-type]  # one of the literals
    assert network.problems() == []
    assert network.widths == WIDTHS[name]
