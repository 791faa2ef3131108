"""The paper's repeated runs on Multitask Character Classification.

    munet benchmark --suite=characters:paper --config.root=Ti_16.npz --config.data_dir=DIR     # Table 1, 5 repeats
    munet benchmark --suite=characters:sweep ...                                               # Figures 3 and 4
    munet benchmark --suite=characters:real --repeats=3                                        # reduced; sets at hand

Variants: `paper` (Table 1's rows), `sweep` (every point of Figures 3 and 4), and `real`: the sets of `../shared/tfds`
with the root of `../shared/roots` and a reduced budget, REAL_BUDGET below, which the command line can change.

Cost: the paper gives about 5 TPUv3 core-hours a run, so 150 for `paper`. `real`: a run of about that size took 13 to 20
minutes on two CPU cores (docs/results/characters.md), so the 33 without routing take some 9 hours at
--repeats=3, and its three seeds half an hour each (docs/results/gumbel_root.md);
--config.max_batches_per_cycle=5 --config.num_rounds=640 halves the budget of every method.
Expected result: the paper's Table 1 has muNet at 91.41 +- 1.06 % against 81.46 +- 0.40 % of full fine-tuning.
"""

from __future__ import annotations

from munet.errors import UserError, nearest
from munet.suites.suite import Method, Suite, paper_methods

SCALES = ("0.02", "0.3", "0.7", "0.9", "0.95", "0.98", "1")
ADAPTERS = (8, 16, 32, 64, 128, 256, 512)
TABLE_1 = {
    "multi_head": "Multi-head",
    "full": "Full fine-tuning",
    "adapters_512": "Residual adapters 512",
    "no_autotune": "muNet w/o auto-tuning",
    "scale_0.3": "muNet s=0.3",
    "munet": "muNet",
}
REAL_TASKS = (
    "tfds:mnist",
    "tfds:omniglot?split=clean",
    "tfds:cmaterdb/bangla",
    "tfds:cmaterdb/devanagari",
    "tfds:cmaterdb/telugu",
    "tfds:kmnist_t10k",
    "tfds:fashion_mnist",
)
# The whole of the reduction, for muNet and baselines alike: 7 x 2 x 8 x 4 x 2 cycles of 10 batches of 64, which are
# 573,440 image-steps a run: 0.4 % of the paper's.
REAL_BUDGET = {
    "num_task_iterations": 2,
    "num_generations": 8,
    "children_per_generation": 4,
    "cycles_per_child": 2,
    "batch_size": 64,
    "max_batches_per_cycle": 10,
    "max_validation_batches": 8,
    "max_seed_parents": 4,
    "mutation_probability": 0.2,
    "search_space.image_size": (32,),
}
REAL = {
    "multi_head": "Multi-head",
    "top_layers_2": "Fine-tune above 2nd block",
    "top_layers_1": "Fine-tune above 1st block",
    "adapters_32": "Residual adapters 32",
    "adapters_512": "Residual adapters 512",
    "full": "Full fine-tuning",
    "no_autotune": "muNet w/o auto-tuning",
    "scale_0.3": "muNet s=0.3",
    "munet": "muNet s=1",
}
JOINT = {"shared": "Joint fine-tuning", "shared_adapters": "Joint adapters"}
# The same budget: 1,280 rounds of 7 tasks x 64 images; everything else as the baselines of `characters:real` have it.
REAL_JOINT = {
    "root": "../shared/roots/ti16_3blocks_32px_cifar100.npz",
    "variant": "Ti/16",
    "num_blocks": 3,
    "num_rounds": 1280,
    "validate_every": 128,
    "defaults.learning_rate": 0.01,
    "defaults.crop_area_min": 0.05,
    "defaults.flip": True,
    "data_dir": "../shared/tfds",
}


def get_suite(variant: str = "paper") -> Suite:
    """The suite of a variant.

    Raises:
      UserError: no such variant; the message names the nearest.
    """
    suites = {"paper": _paper, "sweep": _sweep, "real": _real}
    if variant not in suites:
        raise UserError(f"there is no variant {variant!r}. {nearest(variant, suites)}")
    return suites[variant]()


def _paper() -> Suite:
    return Suite(
        paper_methods("characters", TABLE_1),
        against="full",
        benchmark="characters",
        histograms=("scale_0.3", "munet"),
        lineages=("full", "munet"),
    )


def _sweep() -> Suite:
    layers = {f"top_layers_{k}": f"Fine-tune top layers, {k} frozen" for k in (3, 2, 1, 0)} | {"full": TABLE_1["full"]}
    adapters = {f"adapters_{dim}": f"Residual adapters {dim}" for dim in ADAPTERS}
    methods: tuple[Method, ...] = (
        *paper_methods("characters", layers, "Fine-tune top layers"),
        *paper_methods("characters", adapters, "Residual adapters"),
    )
    evolved = {
        "muNet": "",
        "muNet w/o auto-tuning": ",no_autotune",
        "muNet w/o adapters": ",no_adapters",
        "muNet w/o adapters and auto-tuning": ",no_adapters,no_autotune",
    }
    for curve, variants in evolved.items():
        labels = {f"scale_{scale}{variants}": f"{curve}, s={scale}" for scale in SCALES}
        methods += paper_methods("characters", labels, curve)
    return Suite(
        methods,
        against="full",
        benchmark="characters",
        figures={
            "figure_3": ("Fine-tune top layers", "Residual adapters", "muNet", "muNet w/o auto-tuning"),
            "figure_4": (
                "Fine-tune top layers", "Residual adapters", "muNet w/o adapters", "muNet w/o adapters and auto-tuning",
            ),
        },
        histograms=("scale_0.3", "scale_1"),
        lineages=("full", "scale_1"),
    )  # fmt: skip


def _real() -> Suite:
    methods = tuple(
        Method(name, f"characters:real,{name}", label=label, curve=_curve(name)) for name, label in REAL.items()
    ) + tuple(Method(f"joint_{name}", f"joint:{name}", REAL_JOINT, label=label) for name, label in JOINT.items())
    augmentation = {"crop_area_min": 0.05, "flip": True}  # that of the others
    routed = Method("routed", "gumbel:characters", augmentation, label="Gumbel-Matrix routing, 3 versions a block")
    return Suite(
        (*methods, routed),
        tasks=REAL_TASKS,
        settings=REAL_BUDGET,
        against="full",
        benchmark="characters",
        histograms=("scale_0.3", "munet"),
        lineages=("full", "munet"),
    )


def _curve(name: str) -> str:
    if name.startswith("adapters"):
        return "Residual adapters"
    if name in ("scale_0.3", "munet"):
        return "muNet"
    return "Fine-tune top layers" if name in ("multi_head", "top_layers_2", "top_layers_1", "full") else ""
