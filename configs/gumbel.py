"""Gumbel-Matrix routing: which task uses which component, learnt by gradient together with the weights.

    munet train --config=gumbel:synthetic --workdir=runs/rows

Variants: `synthetic` (the default: two pairs of synthetic tasks, Figure 7 of the paper), `synthetic,none` (no sharing),
`synthetic,shared` (all components for all tasks); `pair` (Figure 1: two tasks whose directions have the cosine
`--config.rho`; shared bottom), `pair,none`; `mnist`, `mnist,budget`, `mnist,none`, `mnist,shared`, `mnist,shared,sum`
(Table I: MNIST twice, and twice turned by 90 degrees; needs tfds:mnist); `omniglot`, `omniglot,shared` (Table II: 20
alphabets at 105 x 105, for a GPU), `omniglot_small`, `omniglot_small,shared` (ten alphabets at 28 x 28, four layers of
16 channels; both need tfds:omniglot); `clusters` (Figures 5 and 6: 40 tasks), `clusters_small` (shorter, a part of the
images); `characters` (three versions of each block of a root on seven sets of characters), `characters,shared` (all
tasks use all versions), `characters,one` (one version each); these need ../shared; `demo`, `demo,shared`, `demo,one`
(the same of the root and four tasks that ship with munet).

Cost: half a minute on two CPU cores for the synthetic tasks; 20 seeds side by side (`--config.replicas=20`) take about
three minutes.
Expected result: rows of blocks, in which tasks of a pair use the same components; docs/howto/routing.md explains them.
"""

from __future__ import annotations

from typing import Any

from munet.config import RoutingConfig, RoutingExperiment, TrainRuntime
from munet.data.cifar100_groups import GROUPS, task_uri
from munet.errors import UserError, nearest

_SINES: dict[str, Any] = {"batch_size": 64, "learning_rate": 0.01, "clip_norm": 1.0, "num_rounds": 3000}
_VARIANTS: dict[str, dict[str, Any]] = {
    "synthetic": {"made": "two_pairs", "network": "sines", **_SINES},
    "synthetic,none": {"made": "two_pairs", "network": "sines", "allocation": "own", **_SINES},
    "synthetic,shared": {"made": "two_pairs", "network": "sines", "allocation": "all", **_SINES},
    "pair": {"made": "pair", "network": "sines_parallel", "allocation": "all", **_SINES},
    "pair,none": {
        "made": "pair",
        "network": "sines_parallel",
        "allocation": "given",
        "rows": ("1010", "0101"),  # one component of each kind a task
        **_SINES,
    },
}
_MNIST: dict[str, Any] = {
    "tasks": (
        "tfds:mnist",
        "tfds:mnist?name=mnist_again",
        "tfds:mnist?rotate=90&name=turned",
        "tfds:mnist?rotate=90&name=turned_again",
    ),
    "network": "mnist",
    "num_epochs": 10.0,
}
_VARIANTS |= {
    "mnist": _MNIST,
    "mnist,none": {**_MNIST, "allocation": "own"},
    "mnist,shared": {**_MNIST, "allocation": "all"},
    "mnist,shared,sum": {**_MNIST, "allocation": "all", "combination": "sum"},
    "mnist,budget": {**_MNIST, "budget": 0.75},
}
_ALPHABETS = (
    "Gujarati", "Sylheti", "Arcadian", "Tibetan", "Old_Church_Slavonic_(Cyrillic)", "Angelic", "Malay_(Jawi_-_Arabic)",
    "Sanskrit", "Cyrillic", "Anglo-Saxon_Futhorc", "Syriac_(Estrangelo)", "Ge_ez", "Japanese_(katakana)", "Keble",
    "Manipuri", "Alphabet_of_the_Magi", "Gurmukhi", "Korean", "Early_Aramaic", "Atemayar_Qelisayer",
)  # fmt: skip
_OMNIGLOT: dict[str, Any] = {
    "tasks": tuple(f"tfds:omniglot?alphabet={name}" for name in _ALPHABETS),
    "network": "omniglot",
    "image_size": 105,
    "inverts": True,
    "p_init": (0.97,),
    "learning_rate": 1e-4,
    "router_learning_rate": 2e-3,
    "l2": 3e-4,
    "num_rounds": 8000,
    "validate_every": 250,
    "keep": "quality",
}
_SMALL: dict[str, Any] = {
    **_OMNIGLOT, "tasks": _OMNIGLOT["tasks"][1:11], "network": "omniglot_small", "image_size": 28,
    "learning_rate": 1e-3, "router_learning_rate": 1e-2, "num_rounds": 1000, "validate_every": 100,
}  # fmt: skip
_VARIANTS |= {
    "omniglot": _OMNIGLOT,
    "omniglot,shared": {**_OMNIGLOT, "allocation": "all"},
    "omniglot_small": _SMALL,
    "omniglot_small,shared": {**_SMALL, "allocation": "all"},
}
_CHARACTERS: dict[str, Any] = {
    "tasks": (
        "tfds:mnist",
        "tfds:omniglot?split=clean",
        "tfds:cmaterdb/bangla",
        "tfds:cmaterdb/devanagari",
        "tfds:cmaterdb/telugu",
        "tfds:kmnist_t10k",
        "tfds:fashion_mnist",
    ),
    "data_seed": -1,  # as the runs of muNet that it is compared with
    "network": "vit",
    "root": "../shared/roots/ti16_3blocks_32px_cifar100.npz",
    "variant": "Ti/16",
    "image_size": 32,
    "is_grey": False,
    "p_init": (0.9,),
    "num_rounds": 1280,  # 573,440 images
    "batch_size": 64,
    "validate_every": 128,
    "keep": "quality",
    "schedule": "cosine",
    "learning_rate": 1e-3,
    "router_learning_rate": 7e-3,  # seven tasks times the rate of weights
    "clip_norm": 1.0,
}
_VARIANTS |= {
    "characters": _CHARACTERS,
    "characters,shared": {**_CHARACTERS, "allocation": "all"},
    "characters,one": {**_CHARACTERS, "allocation": "all", "versions": 1},
}
_DEMO: dict[str, Any] = {
    **_CHARACTERS,
    "tasks": ("builtin:digits", "builtin:glyphs/cyrillic", "builtin:glyphs/armenian", "builtin:glyphs/arabic"),
    "root": "demo",
    "variant": "demo/16",
    "num_rounds": 300,
    "validate_every": 50,
    "learning_rate": 1e-3,
    "router_learning_rate": 4e-3,
}
_VARIANTS |= {
    "demo": _DEMO,
    "demo,shared": {**_DEMO, "allocation": "all"},
    "demo,one": {**_DEMO, "allocation": "all", "versions": 1},
}


def _cluster_tasks(images: str = "") -> tuple[str, ...]:
    """Twenty groups of CIFAR-100, then MNIST and Fashion-MNIST, each without one of its classes."""
    left_out = [f"tfds:{name}?without={label}{images}" for name in ("mnist", "fashion_mnist") for label in range(10)]
    return (*map(task_uri, GROUPS), *left_out)


_CLUSTERS: dict[str, Any] = {
    "tasks": _cluster_tasks(),
    "network": "clusters",
    "image_size": 32,
    "is_grey": False,
    "padding": 4,
    "budget": 0.5,
    "batch_size": 32,
    "learning_rate": 3e-4,
    "router_learning_rate": 6e-3,
    "num_rounds": 20_000,
    "validate_every": 1_000,
}
_VARIANTS |= {
    "clusters": _CLUSTERS,
    "clusters_small": {
        **_CLUSTERS,
        "tasks": _cluster_tasks("&train=train[:10000]&validation=train[10000:10500]&test=test[:1000]"),
        "num_rounds": 600,
        "validate_every": 300,
    },
}


def get_config(variant: str = "synthetic") -> RoutingConfig:
    """The settings of a variant; whatever is not named here has its default in munet/config/routing.py.

    Raises:
      UserError: no such variant.
    """
    if variant not in _VARIANTS:
        raise UserError(f"there is no variant {variant!r}. {nearest(variant, _VARIANTS)}")
    runtime = TrainRuntime(block_rounds=100)
    if variant.startswith("characters"):
        runtime = TrainRuntime(data_dir="../shared/tfds")
    return RoutingConfig(RoutingExperiment(**_VARIANTS[variant]), runtime)
