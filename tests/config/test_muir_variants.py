"""Variants of `muir:...`: which names go together, in whatever order, and what is said of those that do not."""

from __future__ import annotations

import pytest

from munet.config.checks import validate
from munet.config.files import load_any_config
from munet.config.muir import MuirConfig
from munet.errors import UserError


def config(variant: str) -> MuirConfig:
    found = load_any_config(f"muir:{variant}")
    assert isinstance(found, MuirConfig)
    return validate(found)


@pytest.mark.parametrize("variant", ["short", "single,text", "short,text", "text,short", "intratask,dna", "dna"])
def test_what_only_several_modalities_have_means_them_wherever_it_stands(variant: str) -> None:
    wanted = ",".join(["cross_modal", *(name for name in variant.split(",") if name != "cross_modal")])
    assert config(variant) == config(wanted)
    assert not config(variant).experiment.tasks[0].startswith("muir:")


@pytest.mark.parametrize(
    "variant", ["synthetic,images", "synthetic,short", "noisy,wide_resnet", "cross_modal,noisy", "characters,text",
                "characters,short", "published,characters", "awd_lstm,noisy",
                "cross_modal,characters", "short,oracle", "text,noisy"],
)  # fmt: skip
def test_names_of_different_tasks_are_refused_with_those_that_go_together(variant: str) -> None:
    with pytest.raises(UserError) as caught:
        config(variant)
    first, second = variant.split(",")
    assert f"variants {first!r} and {second!r} are of different tasks" in str(caught.value)
    together = "cross_modal, images, text, dna, wide_resnet, awd_lstm, short, published"
    assert f"synthetic, noisy, oracle; {together}; characters" in str(caught.value)


@pytest.mark.parametrize(
    ("variant", "said"),
    [("oracle,single", "both set sharing. Give one of random, oracle, single"),
     ("cross_modal,classical,hierarchical", "'classical' and 'hierarchical' both set sharing"),
     ("oracle,lambda_4", "both set challengers")],
)  # fmt: skip
def test_two_names_of_one_choice_are_refused(variant: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        config(variant)


def test_names_that_go_together_do() -> None:
    experiment = config("noisy,single,framework").experiment
    assert (experiment.sharing, experiment.initial, experiment.generations) == ("separate", "framework", 1200)
    assert experiment.tasks[0].endswith("noisy=true")
    assert config("wide_resnet,text").experiment.nets == ("lstm_128", "wide_resnet_40")
    assert config("characters,single").experiment.sharing == "separate"
    with pytest.raises(UserError, match="Did you mean 'images'"):
        config("imges")


CIFAR = "tfds:cifar10?train=train[:90%]&validation=train[90%:]"
WIKITEXT, CRISPR = "text:../wikitext-2?unit=words", "dna:../crispr.npz"


@pytest.mark.parametrize(
    ("variant", "tasks", "nets", "sizes"),
    [
        ("published", (CIFAR, WIKITEXT, CRISPR), ("lenet", "lstm_256", "deep_bind_256"), (128, 20, 256)),
        ("published,dna", (CRISPR,), ("deep_bind_256",), (256,)),
        ("text,published,wide_resnet", (WIKITEXT, CIFAR), ("lstm_256", "wide_resnet_40"), (20, 128)),
        ("awd_lstm", (CIFAR, WIKITEXT), ("lenet", "awd_lstm_1136"), (128, 20)),
        ("published,awd_lstm,images", (CIFAR, WIKITEXT), ("lenet", "awd_lstm_1136"), (128, 20)),
    ],
)
def test_the_published_study_has_the_papers_sizes(
    variant: str, tasks: tuple[str, ...], nets: tuple[str, ...], sizes: tuple[int, ...]
) -> None:
    experiment = config(variant).experiment
    assert (experiment.tasks, experiment.nets, experiment.batch_sizes) == (tasks, nets, sizes)
    assert (experiment.block_rows, experiment.block_columns, experiment.context, experiment.challengers) == (
        16,
        16,
        4,
        1,
    )
    assert (experiment.score_learning_rate, experiment.learning_rate, experiment.text_steps) == (0.1, 1e-3, 35)
    # 2,000 rounds before the search, then a thousand generations of 1,000; no final ones.
    assert experiment.burn_in * experiment.generation_rounds == 2_000
    assert (experiment.generations, experiment.generation_rounds, experiment.final_generations) == (1_000, 1_000, 0)


@pytest.mark.parametrize(
    ("variant", "changes"),
    [
        ("published,single", {"sharing": "separate", "context": 0, "challengers": 0}),
        ("published,intratask", {"between_tasks": False}),
        ("published,classical,text", {"sharing": "hierarchical", "context": 0}),
        ("published,parallel_adapters", {"adapters": True}),
    ],
)
def test_the_published_study_has_the_other_ways_of_sharing(variant: str, changes: dict[str, object]) -> None:
    experiment = config(variant).experiment
    assert {name: getattr(experiment, name) for name in changes} == changes
    assert experiment.generations == 1_000  # not those of the synthetic baseline
    assert experiment.tasks[-1] in (CRISPR, WIKITEXT)


@pytest.mark.parametrize(
    ("variant", "said"),
    [
        ("published,short", "'short' and 'published' are of different lengths"),
        ("short,awd_lstm", "'short' and 'awd_lstm' are of different lengths"),
        ("published,images,wide_resnet", "'wide_resnet' has wide_resnet_40 on tfds:cifar10.* another has lenet"),
        ("images,wide_resnet", "'wide_resnet' has wide_resnet_40 on tfds:cifar10_subset, and another has lenet"),
        ("text,awd_lstm", "'awd_lstm' has awd_lstm_1136 on text:.* another has lstm_256"),
    ],
)
def test_two_lengths_and_two_networks_of_one_task_are_refused(variant: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        config(variant)
