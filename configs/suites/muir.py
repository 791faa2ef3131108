"""MUiR's studies; all seeds of a method are trained side by side: Table 2, and tasks of several modalities.

    munet benchmark --suite=muir:table_2 --repeats=10 --reference=paper
    munet benchmark --suite=muir:cross_modal --repeats=5 --config.data_dir=../shared/tfds

Variants: `table_2` (single task from MUiR's and from PyTorch's initial values, Random, Oracle, Optimization with eight
and with four challengers), `stays` (what keeps the mapping that the search has found), `tiny`, for tests, and
`cross_modal`: LeNet on images, an LSTM on a text and DeepBind on synthetic DNA, each for itself, each sharing with
itself, pairs, and all together; docs/results/muir_cross_modal.md, as `table_6` and `table_7`, which compare other ways
of sharing and sizes of contexts on the same tasks. `characters`: copies of a Ti/16 root for three sets of
characters, their blocks shared by the search, beside joint fine-tuning and muNet at as many images;
docs/results/muir_characters.md.

The data of Table 2 are those of `../shared/muir_synthetic`. Cost: docs/results/muir_table_2.md says what it took.
Expected result: Optimization near 0 (noisy: near 0.37), as Oracle; single tasks and Random far from it.
"""

from __future__ import annotations

from typing import Any

from munet.errors import UserError, nearest
from munet.suites.suite import Method, Suite

VARIANTS = ("table_2", "stays", "cross_modal", "table_6", "table_7", "characters", "tiny")
_ROWS = {
    "single": ("single", "STL"),
    "framework": ("single,framework", "STL, PyTorch's initial values"),
    "random": ("random", "MUiR + Random"),
    "oracle": ("oracle", "MUiR + Oracle"),
    "optimization_8": ("", "MUiR + Optimization, lambda = 8"),
    "optimization_4": ("lambda_4", "MUiR + Optimization, lambda = 4"),
}
_STAYS: dict[str, tuple[dict[str, Any], str]] = {
    "as_published": ({}, "as published"),
    "alpha_half": ({"challenger_share": 0.5}, "alpha = 0.5 instead of 8/9"),
    "longer": ({"generation_rounds": 400, "generations": 250, "final_generations": 50}, "generations of 400 rounds"),
    "fewer": ({"share": 0.1}, "p = 0.1 instead of 0.5"),
}
_CROSS_MODAL = {
    "single": ("single", "Single task"),
    "framework": ("single,framework", "Single task, PyTorch's initial values"),
    "intratask": ("intratask", "MUiR, each task with itself"),
    "images_text": ("images,text", "MUiR, images + text"),
    "images_dna": ("images,dna", "MUiR, images + DNA"),
    "text_dna": ("text,dna", "MUiR, text + DNA"),
    "all": ("", "MUiR, all together"),
}
_TABLE_6 = {
    "single": ("single", "Single task"),
    "classical": ("classical", "Classical sharing"),
    "parallel_adapters": ("parallel_adapters", "Parallel adapters"),
    "hierarchical": ("hierarchical", "Hierarchical alignment, nothing searched"),
    "all": ("", "MUiR"),
}
# As many images a task as `base:quick` has: 320 rounds of 64. The settings of all, which go to those that have them.
_CHARACTERS = {
    "root": "../shared/roots/ti16_3blocks_32px_cifar100.npz",
    "variant": "Ti/16",
    "data_dir": "../shared/tfds",
    "batch_size": 64,
    "num_rounds": 320,
    "validate_every": 32,
    "generations": 10,
    "generation_rounds": 32,
    "max_validation_batches": 8,
}
_TINY = {"generations": 3, "final_generations": 1, "generation_rounds": 5}


def get_suite(variant: str = "table_2") -> Suite:
    """The methods of a variant.

    Raises:
      UserError: no such variant.
    """
    if variant not in VARIANTS:
        raise UserError(f"there is no variant {variant!r}. {nearest(variant, VARIANTS)}")
    if variant == "characters":
        return _characters()
    if variant in ("cross_modal", "table_6"):
        rows = _CROSS_MODAL if variant == "cross_modal" else _TABLE_6
        return Suite(tuple(_together(name, change, label) for name, (change, label) in rows.items()))
    if variant == "table_7":
        searched = (_together(f"c_{size}", "", f"c = {size}", context=size) for size in (1, 2, 4, 8))
        return Suite((_together("c_0", "classical", "c = 0, nothing searched"), *searched), against="c_4")
    if variant == "stays":
        return Suite(
            tuple(
                Method(name, "muir:synthetic", dict(changes), label=label) for name, (changes, label) in _STAYS.items()
            )
        )
    rows = {name: _ROWS[name] for name in (("single", "optimization_8") if variant == "tiny" else _ROWS)}
    methods = tuple(
        Method(
            f"{name}_{data}",
            "muir:" + ",".join(part for part in ("synthetic", change, "noisy" if data == "noisy" else "") if part),
            label=f"{title}, {data}",
        )
        for data in ("clean", "noisy")
        for name, (change, title) in rows.items()
    )
    return Suite(methods, settings=_TINY if variant == "tiny" else {}, benchmark="muir_table_2")


def _together(name: str, change: str, label: str, **settings: Any) -> Method:
    """A method on tasks of several modalities, in the short study's length."""
    return Method(name, ",".join(["muir:cross_modal", "short", *filter(None, [change])]), settings, label=label)


def _characters() -> Suite:
    """Methods of several kinds on copies of one root."""
    methods = (
        Method("shared", "joint:shared", label="Joint fine-tuning, one trunk"),
        Method("separate", "joint:separate", label="Joint fine-tuning, a copy for each task"),
        Method("munet", "base:quick", label="muNet, a race"),
        Method("muir", "muir:characters", label="MUiR, alpha = 0.1"),
        Method("muir_published", "muir:characters", {"challenger_share": 0.0}, label="MUiR, alpha = 0.5 as published"),
        Method("muir_unshared", "muir:characters", {"share": 0.0}, label="MUiR, nothing shared"),
        Method("plain", "muir:characters,single", label="Plain weights, Adam"),
    )
    tasks = ("tfds:cmaterdb/devanagari", "tfds:cmaterdb/telugu", "tfds:kmnist_t10k")
    return Suite(methods, tasks=tasks, settings=_CHARACTERS, against="separate")
