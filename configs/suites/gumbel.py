"""Gumbel-Matrix routing against fixed patterns, the paper's Figures 1 and 7 and Table I; seeds train side by side.

    munet benchmark --suite=gumbel:synthetic --repeats=20
    munet benchmark --suite=gumbel:mnist --repeats=3 --config.num_epochs=3
    munet benchmark --suite=gumbel:clusters --repeats=3

Variants: `synthetic` (both figures), `mnist` (Table I; needs tfds:mnist; 10 epochs unless said otherwise), `clusters`
(Figures 5 and 6 at a reduced length), `omniglot` (Table II's reduced net), `characters` (versions of a root's blocks,
of ../shared), `demo` (of the root and tasks that ship with munet) and `tiny`, for tests.

Cost: docs/results/gumbel_synthetic.md says what the synthetic one took; it needs no data.
Expected result: related tasks are better off together and unrelated ones apart; routing finds which are which.
"""

from __future__ import annotations

from munet.errors import UserError, nearest
from munet.suites.suite import Method, Suite

_PAIR = tuple(
    Method(
        f"pair_{name}_rho_{rho}",
        "gumbel:pair" if name == "shared" else "gumbel:pair,none",
        {"rho": float(rho)},
        label=f"{title}, rho = {rho}",
        curve="Figure 1",
    )
    for rho in (1, 0)
    for name, title in (("shared", "Shared bottom"), ("none", "No sharing"))
)
_TWO_PAIRS = (
    Method("gumbel", "gumbel:synthetic", label="Gumbel-Matrix", curve="Figure 7"),
    Method("none", "gumbel:synthetic,none", label="No sharing", curve="Figure 7"),
    Method("shared", "gumbel:synthetic,shared", label="Shared bottom", curve="Figure 7"),
)
_MNIST = (
    Method("none", "gumbel:mnist,none", label="No sharing"),
    Method("shared", "gumbel:mnist,shared", label="Shared bottom (mean)"),
    Method("shared_sum", "gumbel:mnist,shared,sum", label="Shared bottom (sum)"),
    Method("gumbel", "gumbel:mnist", label="Gumbel-Matrix"),
    Method("budget", "gumbel:mnist,budget", label="Gumbel-Matrix, budget 0.75"),
)
_CLUSTERS = (Method("gumbel", "gumbel:clusters_small", label="Gumbel-Matrix"),)
_OMNIGLOT = (
    Method("shared", "gumbel:omniglot_small,shared", label="Shared bottom"),
    Method("gumbel", "gumbel:omniglot_small", label="Gumbel-Matrix"),
)


def _versions(config: str) -> Suite:
    """Of a root's blocks: one, three that all tasks use, three that are routed."""
    methods = (
        Method("one", f"gumbel:{config},one", label="One version of each block"),
        Method("shared", f"gumbel:{config},shared", label="Three versions, all used"),
        Method("gumbel", f"gumbel:{config}", label="Gumbel-Matrix, three versions"),
    )
    return Suite(methods, against="one")


_IMAGES = {
    "mnist": Suite(_MNIST, against="shared"),
    "clusters": Suite(_CLUSTERS),
    "omniglot": Suite(_OMNIGLOT, against="shared"),
    "characters": _versions("characters"),
    "demo": _versions("demo"),
}


def get_suite(variant: str = "synthetic") -> Suite:
    """The methods of a variant.

    Raises:
      UserError: no such variant.
    """
    if variant not in ("synthetic", "tiny", *_IMAGES):
        raise UserError(f"there is no variant {variant!r}. {nearest(variant, ('synthetic', 'tiny', *_IMAGES))}")
    if variant in _IMAGES:
        return _IMAGES[variant]
    settings = {"num_rounds": 6, "validate_every": 3} if variant == "tiny" else {"validate_every": 100}
    return Suite((*_TWO_PAIRS, *_PAIR), settings=settings, against="none")
