"""MUiR: tasks of any architecture share modules by an evolving alignment (Meyerson and Miikkulainen, 2019).

    munet train --config=muir:synthetic --workdir=runs/muir
    munet train --config=muir:cross_modal --config.data_dir=../shared/tfds --workdir=runs/cross_modal

`synthetic` (the default): thirty linear tasks of three groups, the authors' data, with `noisy`, `random`, `oracle`,
`single`, `framework` (PyTorch's initial values, of `single`) and `lambda_4` after commas: `synthetic,noisy`. Cost:
about a minute on one CPU core; ten seeds side by side (`--config.replicas=10`) take about as long as two.
Expected result: tasks of a group end on one module, and test errors near 0 (noisy: near 0.37); docs/howto/muir.md.

`cross_modal`: LeNet on `cifar10_subset` and on `fashion_mnist`, an LSTM on a text and DeepBind on synthetic DNA share
blocks of 16 x 16. After a comma `intratask` (each with itself only), `single`, `framework`, `classical`,
`parallel_adapters` or `hierarchical`; some of `images`, `text` and `dna`: only these tasks; `short`: a study in 320
rounds. Any of the last four means `cross_modal`, too, where it is not named: `short,text`. Cost: hours on a CPU;
`short`, five seeds side by side, took two to four minutes of two cores. Results of it:
docs/results/muir_cross_modal.md.

`published`: the paper's study (its Table 3), for whoever has the data: LeNet on the whole of CIFAR-10 (45,000 images
train, 5,000 validate: the last ones of TFDS's order, not those that the authors drew), an LSTM of width 256 on
WikiText-2 word by word, and DeepBind of width 256 on measured DNA; a thousand generations of 1,000 rounds after 2,000
without a search. Everything of `cross_modal` goes with it but `short`: `published,wide_resnet,text,dna` is the paper's
W+S+D, `published,single,images` a baseline. `awd_lstm` means it, too: LeNet and an AWD-LSTM of width 1,136 (Table 5).
Files: `../wikitext-2` (a folder), `../crispr.npz` (docs/howto/muir.md#measured-dna); others are `--config.tasks=`.
Cost: not measured, for it was not run, neither whole nor in part: these data are not here.

`wide_resnet`: WRN-40-1 on `cifar10_subset`, alone or with others of the above: `wide_resnet,text`,
`wide_resnet,text,dna`. Cost: two days for all 25,000 rounds on a CPU: a round of 128 images took 7 s on two cores that
other processes shared, and takes 1.7 GiB. It was run for a few rounds only: no expected result yet.

`characters`: three copies of a Ti/16 root of three blocks, one for each of three sets of characters, cut into blocks of
16 x 16, 15,552 in all; with `intratask` or `single` as above. Challengers begin with a tenth of the weight, because
with half of it, as published, they spoil what the root has learnt. Results: docs/results/muir_characters.md.
"""

from __future__ import annotations

from typing import Any

from munet.config import MuirConfig, MuirExperiment, TrainRuntime
from munet.errors import UserError, nearest

DATA = "../shared/muir_synthetic/synthetic.npz"
MODALITIES = {  # tasks, and examples of each in a round
    "images": (("tfds:cifar10_subset", 128), ("tfds:fashion_mnist", 128)),
    "text": (("builtin:text/python", 20),),
    "dna": (("builtin:dna", 256),),
}
# WRN-40-1 on CIFAR-10, only where it is named; then every task's network is.
_WIDE_RESNET = ("tfds:cifar10_subset", 128)
_NETS = {
    "images": ("lenet", "lenet"),
    "text": ("lstm_128",),
    "dna": ("deep_bind_64",),
    "wide_resnet": ("wide_resnet_40",),
}
# For a study on a CPU: a sixth of Fashion-MNIST's training and a fifth of its test images, and small batches.
_CIFAR = "tfds:cifar10_subset?train=train[:7500]&validation=train[7500:]"
_FASHION = "tfds:fashion_mnist?train=train[:10000]&validation=train[10000:10500]&test=test[:2000]"
_SHORT = {
    "images": ((_CIFAR, 32), (_FASHION, 32)),
    "text": (("builtin:text/python", 10),),
    "dna": (("builtin:dna", 64),),
}
# The paper's tasks, as large as there; their networks are always named.
_WHOLE_CIFAR = ("tfds:cifar10?train=train[:90%]&validation=train[90%:]", 128)
_WIKITEXT = ("text:../wikitext-2?unit=words", 20)
_PUBLISHED = {
    "images": (_WHOLE_CIFAR,),
    "text": (_WIKITEXT,),
    "dna": (("dna:../crispr.npz", 256),),
    "wide_resnet": (_WHOLE_CIFAR,),
    "awd_lstm": (_WHOLE_CIFAR, _WIKITEXT),
}
_PUBLISHED_NETS = {
    "images": ("lenet",),
    "text": ("lstm_256",),
    "dna": ("deep_bind_256",),
    "wide_resnet": ("wide_resnet_40",),
    "awd_lstm": ("lenet", "awd_lstm_1136"),
}
_LENGTHS: dict[str, dict[str, Any]] = {
    "": {"generation_rounds": 500, "burn_in": 2, "generations": 48},
    "short": {"generation_rounds": 40, "burn_in": 1, "generations": 7},
    "published": {"generation_rounds": 1000, "burn_in": 2, "generations": 1000},
}
_CROSS_MODAL: dict[str, Any] = {
    "block_rows": 16,
    "block_columns": 16,
    "context": 4,
    "challengers": 1,
    "score_learning_rate": 0.1,
    "final_generations": 0,
}
ROOT = "../shared/roots/ti16_3blocks_32px_cifar100.npz"
CHARACTERS = ("tfds:cmaterdb/devanagari", "tfds:cmaterdb/telugu", "tfds:kmnist_t10k")
NUM_TASKS, GROUP_SIZE = 30, 10
# Which tasks there are: names of one family go together, and say it alone; those of none go with any.
_FAMILIES = {
    "synthetic": ("synthetic", "noisy", "oracle"),
    "cross_modal": ("cross_modal", *_PUBLISHED, "short", "published"),
    "characters": ("characters",),
}
_CHANGES: dict[str, dict[str, Any]] = {
    "synthetic": {},
    "noisy": {},
    "random": {"sharing": "random"},
    "oracle": {"sharing": "given", "challengers": 0},
    "single": {
        "sharing": "separate",
        "context": 0,
        "challengers": 0,
        "generations": 1200,
        "final_generations": 0,
    },
    "framework": {"initial": "framework"},
    "intratask": {"between_tasks": False},
    "classical": {"sharing": "hierarchical", "context": 0, "challengers": 0},
    "hierarchical": {"sharing": "hierarchical", "challengers": 0},
    "parallel_adapters": {"sharing": "hierarchical", "context": 0, "challengers": 0, "adapters": True},
    "lambda_4": {"challengers": 4},
}


def get_config(variant: str = "synthetic") -> MuirConfig:
    """The settings of a variant; whatever is not named here has its default in munet/config/muir.py.

    Raises:
      UserError: no such variant, or names that do not go together.
    """
    names = variant.split(",")
    family = _family(names)
    if family == "cross_modal":
        return _cross_modal(names)
    if family == "characters":
        return _characters(names)
    options = "&noisy=true" if "noisy" in names else ""
    experiment = MuirExperiment(
        tasks=tuple(f"muir:{DATA}?task={task}{options}" for task in range(NUM_TASKS)),
        groups=tuple(task // GROUP_SIZE for task in range(NUM_TASKS)),
    )
    for name in names:
        for field, value in _CHANGES[name].items():
            setattr(experiment, field, value)
    return MuirConfig(experiment)


def _family(names: list[str]) -> str:
    """Which tasks the names mean; where none says it, the synthetic ones.

    Raises:
      UserError: there is no such name, or two of them contradict each other.
    """
    family_of = {name: family for family, members in _FAMILIES.items() for name in members}
    known = [*_CHANGES, *(name for name in family_of if name not in _CHANGES)]
    for name in names:
        if name not in known:
            raise UserError(f"there is no variant {name!r}. {nearest(name, known)}")
    firsts = {family_of[name]: name for name in reversed(names) if name in family_of}
    if len(firsts) > 1:
        second, first = list(firsts.values())[-2:]
        together = "; ".join(", ".join(members) for members in _FAMILIES.values())
        raise UserError(
            f"variants {first!r} and {second!r} are of different tasks and do not go together.",
            f"Give names of one of these: {together}. With each of them go "
            f"{', '.join(name for name in _CHANGES if name not in family_of)}.",
        )
    for at, name in enumerate(names):
        for other in names[:at]:
            if fields := [field for field in _CHANGES.get(name, {}) if field in _CHANGES.get(other, {})]:
                rivals = ", ".join(one for one, changes in _CHANGES.items() if fields[0] in changes)
                raise UserError(f"variants {other!r} and {name!r} both set {fields[0]}.", f"Give one of {rivals}.")
    return next(iter(firsts), "synthetic")


def _cross_modal(names: list[str]) -> MuirConfig:
    """Tasks of several modalities, or of those that are named.

    Raises:
      UserError: two lengths, or two networks of one task, are named.
    """
    size = _size(names)
    modalities = _PUBLISHED if size == "published" else {
        **(_SHORT if size == "short" else MODALITIES), "wide_resnet": (_WIDE_RESNET,)
    }  # fmt: skip
    nets = _PUBLISHED_NETS if size == "published" else _NETS
    chosen = [name for name in modalities if name in names] or list(MODALITIES)
    tasks: dict[str, tuple[int, str]] = {}
    for name in chosen:
        for (uri, batch_size), net in zip(modalities[name], nets[name], strict=True):
            if tasks.setdefault(uri, (batch_size, net)) != (batch_size, net):
                raise UserError(f"variant {name!r} has {net} on {uri}, and another has {tasks[uri][1]}.", "Name one.")
    settings = {**_CROSS_MODAL, **_LENGTHS[size], **_changes(names)}
    if "wide_resnet" in chosen or size == "published":
        settings["nets"] = tuple(net for _, net in tasks.values())
    experiment = MuirExperiment(
        tasks=tuple(tasks), batch_sizes=tuple(batch_size for batch_size, _ in tasks.values()), **settings
    )
    return MuirConfig(experiment, TrainRuntime(block_rounds=25))


def _size(names: list[str]) -> str:
    """Which study of several modalities the names mean: `short`, `published`, or "".

    Raises:
      UserError: two are named.
    """
    whole = next((name for name in names if name in ("published", "awd_lstm")), "")
    if "short" in names and whole:
        raise UserError(f"variants 'short' and {whole!r} are of different lengths.", "Give one of them.")
    return "published" if whole else "short" if "short" in names else ""


def _characters(names: list[str]) -> MuirConfig:
    """Copies of a root for sets of characters, which are never flipped."""
    settings = _CROSS_MODAL | {
        "tasks": CHARACTERS,
        "nets": ("vit",) * len(CHARACTERS),
        "root": ROOT,
        "variant": "Ti/16",
        "batch_size": 128,
        "learning_rate": 1e-3,
        "challenger_share": 0.1,
        "flip": False,
        "burn_in": 0,
        "generations": 20,
        "generation_rounds": 100,
    }
    return MuirConfig(MuirExperiment(**{**settings, **_changes(names)}), TrainRuntime(block_rounds=10))


def _changes(names: list[str]) -> dict[str, Any]:
    """What variants change but the length, which they say of the synthetic tasks."""
    changes = {field: value for name in names for field, value in _CHANGES.get(name, {}).items()}
    return {field: value for field, value in changes.items() if field not in ("generations", "final_generations")}
