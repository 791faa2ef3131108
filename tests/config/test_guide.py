"""The examples in docs/howto/config_file.md, and the names that users' config files import."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import munet.config
from munet.config import PretrainConfig, variants
from munet.config.flags import parse_as, parse_config

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/howto/config_file.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)


@pytest.fixture
def specs(tmp_path: Path) -> list[str]:
    for index, text in enumerate(EXAMPLES):
        (tmp_path / f"example{index}.py").write_text(text)
    return [str(tmp_path / f"example{index}.py") for index in range(len(EXAMPLES))]


def test_the_examples_of_the_guide_are_valid(specs: list[str]) -> None:
    classes, config_dict, with_variants, recipe = specs
    assert parse_config(classes) == parse_config(config_dict)
    assert parse_config(classes).experiment.num_generations == 4
    varied = parse_config(f"{with_variants}:long,scale_0.3").experiment
    assert (varied.num_generations, varied.scale_factor) == (16, 0.3)
    assert parse_config(with_variants).experiment.num_generations == 8
    assert parse_as(PretrainConfig, recipe).experiment.num_epochs == 100.0


def test_files_for_version_0_3_find_the_variants_where_they_were(tmp_path: Path) -> None:
    text = (
        "from munet.config import Config, Experiment\nfrom munet.config_variants import apply\n\n"
        "def get_config(variant='munet'):\n    return apply(Config(Experiment(tasks=('a',))), variant, {})\n"
    )
    (tmp_path / "old.py").write_text(text)
    assert parse_config(f"{tmp_path / 'old.py'}:scale_0.3").experiment.scale_factor == 0.3
    import munet.config_variants as alias

    assert alias.apply is variants.apply
    assert alias.Variant is variants.Change


def test_files_for_version_0_3_find_the_settings_of_a_pre_training_where_they_were(tmp_path: Path) -> None:
    text = (
        "from munet.pretraining.config import PretrainConfig, PretrainRuntime, Recipe\n\n"
        "def get_config():\n    return PretrainConfig(Recipe(tasks=('a',), num_steps=3), PretrainRuntime())\n"
    )
    (tmp_path / "old.py").write_text(text)
    assert parse_as(PretrainConfig, str(tmp_path / "old.py")).experiment.num_steps == 3


def test_the_room_has_what_config_files_import() -> None:
    names = {"Config", "Experiment", "Runtime", "SearchSpace", "Defaults", "Fidelity", "Baseline", "PretrainConfig"}
    assert names | {"apply", "default"} <= set(munet.config.__all__)
    assert all(hasattr(munet.config, name) for name in munet.config.__all__)


def test_importing_it_waits_for_nothing_slow() -> None:
    script = (
        "import sys, munet.config; slow = {'jax', 'numpy', 'rich', 'absl', 'ml_collections', 'yaml'};"
        "sys.exit(', '.join(slow & set(sys.modules)) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stderr) == (0, "")
