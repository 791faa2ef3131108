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
                "characters,short", "cross_modal,characters", "short,oracle", "text,noisy"],
)  # fmt: skip
def test_names_of_different_tasks_are_refused_with_those_that_go_together(variant: str) -> None:
    with pytest.raises(UserError) as caught:
        config(variant)
    first, second = variant.split(",")
    assert f"variants {first!r} and {second!r} are of different tasks" in str(caught.value)
    assert "synthetic, noisy, oracle; cross_modal, images, text, dna, wide_resnet, short; characters" in str(
        caught.value
    )


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
