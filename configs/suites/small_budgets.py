"""Evolution and fine-tuning where a task has 20,480 training images for everything, choosing settings included.

    munet benchmark --suite=small_budgets --repeats=3              # the sets on which the recipe was settled
    munet benchmark --suite=small_budgets:held_out --repeats=3     # sets that had no part in any choice
    munet benchmark --suite=small_budgets:folders --repeats=3      # folders of photos and drawings, see the page
    munet benchmark --suite=small_budgets:small --repeats=3        # smaller systems, on the sets of the first
    munet benchmark --suite=small_budgets:parts --repeats=3        # what each part of the recipe brings, on the same
    munet benchmark --suite=small_budgets:few --repeats=5          # 81,920 over 400 images of each: two hundred passes
    munet benchmark --suite=small_budgets --config.images_per_task=81920

Methods: `race` (--config=base:quick), `tuned` (full fine-tuning, the best by validation of four settings) and `full`
(as the paper has it: rate 0.01, crops from 5%, flips; the best of four replicas). Of small systems: `half` (a race
whose children clone half of the layers), `small` (--config=base:small), `compressed` and `half_compressed` (races whose
phases end with a `compress` stage), `tuned`, and by the same grid `tuned_adapters` (of width 512), `tuned_lora` and
`tuned_multi_head`. Of the parts: races with one of them taken away. Of few images: `whole`, a race that draws whole
images, too (`crops_above_passes=0`). All have as many images a task.
The sets are those of `../shared/tfds`, the root is of `../shared/roots`.

Cost: a run of `race` took about two minutes on two CPU cores.
Expected result: docs/results/small_budgets.md.
"""

from __future__ import annotations

from munet.errors import UserError, nearest
from munet.suites.suite import Method, Suite

CHOICE = ("tfds:cmaterdb/bangla", "tfds:cmaterdb/devanagari", "tfds:cmaterdb/telugu", "tfds:kmnist_t10k")
# Of each of them 400 images to be trained on, and 200 or 240 that choose.
FEW = tuple(
    f"{uri}?train=train[:{first}%]&validation=train[{last}%:]"
    for uri, first, last in zip(CHOICE, (8, 16, 16, 5), (96, 92, 92, 97), strict=True)
)
TASKS = {
    "choice": CHOICE,
    "few": FEW,
    "small": CHOICE,
    "parts": CHOICE,
    "held_out": ("tfds:mnist", "tfds:omniglot?split=clean", "tfds:fashion_mnist"),
    "folders": tuple(f"folder:held_out/{name}" for name in ("animals", "vehicles", "korean", "hiragana")),
}
SETTINGS = {
    "root": "../shared/roots/ti16_3blocks_32px_cifar100.npz",
    "variant": "Ti/16",
    "data_dir": "../shared/tfds",
    "max_validation_batches": 8,
    "children_per_generation": 4,  # replicas of `full`
}
# The paper's defaults, which evolution starts from there.
PAPER = {
    "defaults.learning_rate": 0.01,
    "defaults.crop_area_min": 0.05,
    "defaults.flip": True,
    "search_space.learning_rate": (0.01,),
    "search_space.crop_area_min": (0.05,),
    "search_space.flip": (True,),
}


def get_suite(variant: str = "choice") -> Suite:
    """The suite of a variant.

    Raises:
      UserError: no such variant; the message names the nearest.
    """
    if variant not in TASKS:
        raise UserError(f"there is no variant {variant!r}. {nearest(variant, TASKS)}")
    tuned = Method("tuned", "base:quick", {"baseline.kind": "tuned"}, label="Tuned fine-tuning")
    methods = (
        Method("race", "base:quick", label="muNet, a race"),
        tuned,
        Method("full", "base:quick", {"baseline.kind": "full", **PAPER}, label="Full fine-tuning"),
    )
    small = (
        Method("half", "base:quick", {"clone_probability": 0.5}, label="muNet, half of the layers cloned"),
        Method("small", "base:small", label="muNet on adapters"),
        Method("compressed", "base:quick", {"stages": ("race", "compress")}, label="muNet, a race, compressed"),
        Method(
            "half_compressed", "base:quick", {"stages": ("race", "compress"), "clone_probability": 0.5},
            label="muNet, half of the layers cloned, compressed",
        ),
        tuned,
        Method(
            "tuned_adapters", "base:quick", {"baseline.kind": "tuned_adapters"},
            label="Tuned adapters",
        ),
        Method("tuned_lora", "base:quick", {"baseline.kind": "tuned_lora"}, label="Tuned LoRA"),
        Method("tuned_multi_head", "base:quick", {"baseline.kind": "tuned_multi_head"}, label="Tuned multi-head"),
    )  # fmt: skip
    parts = (
        Method("race", "base:quick", label="muNet, a race"),
        Method("zeros", "base:quick", {"new_heads": "zeros"}, label="heads from zeros"),
        Method("highest", "base:quick", {"version_choice": "highest"}, label="the highest version counts"),
        Method("no_narrow", "base:quick", {"stages": ("explore:8", "train:1")}, label="no narrow stage"),
        Method("newest_seeds", "base:quick", {"seed_choice": "newest"}, label="the newest models as seeds"),
    )
    few = (
        Method("race", "base:quick", label="muNet, a race"),
        Method("whole", "base:quick", {"crops_above_passes": 0}, label="muNet, whole images too"),
        tuned,
    )
    chosen = {"small": small, "parts": parts, "few": few}.get(variant, methods)
    settings = SETTINGS | {"images_per_task": 81_920} if variant == "few" else SETTINGS
    return Suite(chosen, tasks=TASKS[variant], settings=settings, against="race" if variant == "parts" else "tuned")
