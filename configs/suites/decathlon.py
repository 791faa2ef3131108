"""The paper's repeated runs on the Visual Domain Decathlon.

    munet benchmark --suite=decathlon --repeats=3 --config.root=B_16.npz --config.data_dir=DIR --reference=paper
    munet benchmark --suite=decathlon:sweep --repeats=3 ...                                    # right half of Figure 3
    munet benchmark --suite=decathlon:stand_in --repeats=1                                     # its way, walked once

Variants: `paper` (Table 2's rows), `sweep` (every point of Figure 3 on this benchmark), and `stand_in`: the sets of
`../shared/tfds` in the paper's shapes, B/16 at 80 pixels, but two blocks of a random root and next to no budget. It
shows that all of the way works, from data to the table and the graph; its accuracies say nothing.

Cost: the paper gives about 180 TPUv3 core-hours a run; three repeats of seven methods are 3,700. `stand_in` takes about
half an hour on two CPU cores.
Expected result: the paper's Table 2 has muNet at 83.20 +- 0.29 % against 81.39 +- 0.14 % above the 1st block.
Nothing but `stand_in` was measured with this program yet (docs/results/decathlon_stand_in.md).
"""

from __future__ import annotations

from munet.errors import UserError, nearest
from munet.suites.suite import Method, Suite, paper_methods

TABLE_2 = {
    "multi_head": "Multi-head",
    "top_layers_1": "Unfreeze above 1st block",
    "full": "Full fine-tuning",
    "adapters_512": "Residual adapters 512",
    "no_autotune": "muNet w/o auto-tuning",
    "scale_0.3": "muNet s=0.3",
    "munet": "muNet",
}
SCALES = ("0.02", "0.3", "0.7", "0.9", "0.95", "0.98", "1")
ADAPTERS = (8, 16, 32, 64, 128, 256, 512)
# Of `stand_in`, for all methods alike: 6 x 2 x 2 x 2 cycles of at most 4 batches of 64, 12,288 images a run.
STAND_IN = {
    "root": "random",
    "num_blocks": 2,
    "num_task_iterations": 1,
    "num_generations": 2,
    "children_per_generation": 2,
    "max_seed_parents": 1,
    "cycles_per_child": 2,
    "batch_size": 64,
    "max_batches_per_cycle": 4,
    "max_validation_batches": 2,
}


def get_suite(variant: str = "paper") -> Suite:
    """The suite of a variant.

    Raises:
      UserError: no such variant; the message names the nearest.
    """
    if variant == "paper":
        methods = paper_methods("decathlon", TABLE_2)
        return Suite(methods, against="full", benchmark="decathlon", histograms=("scale_0.3", "munet"))
    if variant == "stand_in":
        walked = {"multi_head": "Multi-head", "full": "Full fine-tuning", "munet": "muNet"}
        methods = tuple(
            Method(name, f"decathlon:stand_in,{name}", STAND_IN, label=label) for name, label in walked.items()
        )
        return Suite(methods, against="full")
    if variant != "sweep":
        raise UserError(f"there is no variant {variant!r}. {nearest(variant, ('paper', 'sweep', 'stand_in'))}")
    layers = {f"top_layers_{k}": f"Fine-tune top layers, {k} frozen" for k in range(12, -1, -1)}
    methods = (
        *paper_methods("decathlon", layers | {"full": TABLE_2["full"]}, "Fine-tune top layers"),
        *paper_methods("decathlon", {f"adapters_{d}": f"Residual adapters {d}" for d in ADAPTERS}, "Residual adapters"),
        *paper_methods("decathlon", {f"scale_{s}": f"muNet, s={s}" for s in SCALES}, "muNet"),
        *paper_methods(
            "decathlon",
            {f"scale_{s},no_autotune": f"muNet w/o auto-tuning, s={s}" for s in SCALES},
            "muNet w/o auto-tuning",
        ),
    )
    return Suite(
        methods,
        against="full",
        benchmark="decathlon",
        histograms=("scale_0.3", "scale_1"),
        lineages=("full", "scale_1"),
    )
