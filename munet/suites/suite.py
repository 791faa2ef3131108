"""What a suite is: methods x tasks x seeds. A suite file is Python with `get_suite(variant) -> Suite`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from munet.config.python_files import FileKind


@dataclass(frozen=True)
class Method:
    """One way of solving the tasks: a config and what is changed in it.

    Attributes:
      name: of its folder and rows. The paper's names (`full`, `scale_0.3`, see docs/howto/benchmark.md) are compared
        with the paper by `--reference=paper`.
      config: `FILE[:VARIANT]`, as for `munet evolve --config`.
      settings: further settings by short or full name, as `--config.NAME=VALUE`.
      label: for tables and figures; "": the name.
      curve: methods of one curve are joined in Figures 3 and 4, in the suite's order; "": a point of its own.
    """

    name: str
    config: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""
    curve: str = ""

    @property
    def title(self) -> str:
        """The method's name in tables and figures: its label if it has one."""
        return self.label or self.name


@dataclass(frozen=True)
class Suite:
    """Methods to be compared.

    Attributes:
      methods: in the order of the tables.
      tasks: URIs that every method gets; (): those of the methods' configs.
      settings: for every method, before its own: the one place for a reduced budget.
      against: the method that every other one is compared with, pair by pair; "": the first.
      benchmark: `characters` or `decathlon`, or MUiR's `muir_table_2`, whose numbers in its paper `--reference=paper`
        shows; "": none.
      figures: curves of Figure 3 (`figure_3`) and Figure 4 (`figure_4`); a curve may be in both. {}: all in Figure 3.
      histograms: methods whose sampled hyper-parameters Figure 8 shows; (): the first two that evolve.
      lineages: methods of Figure 5; (): `against` and the last that evolves.
    """

    methods: tuple[Method, ...]
    tasks: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    against: str = ""
    benchmark: str = ""
    figures: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    histograms: tuple[str, ...] = ()
    lineages: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all methods, in the suite's order."""
        return tuple(method.name for method in self.methods)

    @property
    def compared_with(self) -> str:
        """The method that every other one is compared with."""
        return self.against or self.methods[0].name

    def method(self, name: str) -> Method:
        """The method of that name."""
        return next(method for method in self.methods if method.name == name)


SUITE_FILES = FileKind(
    "suite", "get_suite", {"munet.suites.suite.Suite": Suite}, folder="suites", classes=(Suite, Method)
)
BENCHMARKS = ("characters", "decathlon", "muir_table_2")
FIGURES = ("figure_3", "figure_4")


def paper_methods(config: str, variants: Mapping[str, str], curve: str = "") -> tuple[Method, ...]:
    """Methods that are variants of a config.

    Args:
      config: e.g. `characters`.
      variants: labels by variant: `{"adapters_512": "Residual adapters 512"}`; the variant is also the method's name.
      curve: of all of them.
    """
    return tuple(
        Method(variant.replace(",", "_"), f"{config}:{variant}", label=label, curve=curve)
        for variant, label in variants.items()
    )
