"""What the JSON files beside a safetensors model say and its arrays do not: activation, heads, scaling of pixels."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from munet.errors import CheckpointError

_MAX_BYTES = 1 << 20
_TANH = ("gelu_new", "gelu_pytorch_tanh", "gelu_fast", "gelu_tanh", "gelu_python_tanh")
_EXACT = ("gelu", "gelu_python", "gelu_erf")
_OURS = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))  # pixels in [0, 1] become [-1, 1]


@dataclass(frozen=True)
class ForeignConfig:
    """What is not in the arrays.

    Attributes:
      is_found: whether there was a config at all.
      activation: of the MLPs, as the file calls it; "": it does not say, which means the exact GELU.
      num_heads: attention heads; None: it does not say.
      pooling: what the features are made of, as timm calls it; "": it does not say.
      mean, std: with which the model wants pixels in [0, 1] normalised, a value a channel.
    """

    is_found: bool = False
    activation: str = ""
    num_heads: int | None = None
    pooling: str = ""
    mean: tuple[float, ...] = _OURS[0]
    std: tuple[float, ...] = _OURS[1]

    @property
    def is_scaled_as_ours(self) -> bool:
        """Whether the model takes pixels in [-1, 1], as we do."""
        return (self.mean, self.std) == _OURS

    @property
    def has_our_gelu(self) -> bool:
        """Whether the MLPs use the tanh form of GELU."""
        return self.activation in _TANH

    def foreign_to(self, num_heads: int) -> list[str]:
        """What a ViT of ours with `num_heads` heads has not, by name."""
        found = []
        if self.activation and self.activation not in (*_TANH, *_EXACT):
            found.append(f"the activation {self.activation!r} instead of GELU")
        if self.num_heads not in (None, num_heads):
            found.append(f"{self.num_heads} attention heads instead of {num_heads}")
        if self.pooling not in ("", "token"):
            found.append(f"features pooled by {self.pooling!r} instead of the class token")
        return found


def read_config(folder: Path) -> ForeignConfig:
    """Reads `config.json` and `preprocessor_config.json` of a folder, as far as they are there.

    Raises:
      CheckpointError: they are damaged, or hold something else than they should.
    """
    config, preprocessor = _read(folder / "config.json"), _read(folder / "preprocessor_config.json")
    if config is None:
        return ForeignConfig()
    trained = config.get("pretrained_cfg")
    arguments = config.get("model_args")
    trained, arguments = (value if isinstance(value, dict) else {} for value in (trained, arguments))
    activation = config.get("hidden_act") or arguments.get("act_layer") or ""
    heads = config.get("num_attention_heads")
    mean, std = trained.get("mean"), trained.get("std")
    if preprocessor is not None and preprocessor.get("do_normalize", True):
        mean, std = preprocessor.get("image_mean", mean), preprocessor.get("image_std", std)
    pooling = arguments.get("global_pool", config.get("global_pool", ""))
    return ForeignConfig(
        is_found=True,
        activation=str(activation),
        num_heads=heads if isinstance(heads, int) else None,
        pooling=str(pooling or ""),
        mean=_channels(folder, "mean", mean, _OURS[0]),
        std=_channels(folder, "std", std, _OURS[1]),
    )


def fold_scaling(kernel: np.ndarray, bias: np.ndarray, config: ForeignConfig) -> tuple[np.ndarray, np.ndarray]:
    """The patch embedding for pixels in [-1, 1] that equals the given one for pixels scaled as the model wants them.

    With x in [-1, 1] the model's own input is (x / 2 + 1 / 2 - mean) / std: a factor and a shift for each channel. The
    patch embedding is linear and has no padding, so they move into its kernel and bias exactly, but for rounding.

    Args:
      kernel: `[patch, patch, channels, width]`.
      bias: `[width]`.
      config: with the model's mean and deviation.
    """
    mean, std = np.array(config.mean), np.array(config.std)
    factor, shift = 0.5 / std, (0.5 - mean) / std
    wide = kernel.astype(np.float64)
    moved = bias + np.einsum("hwcd,c->d", wide, shift)
    return (wide * factor[:, None]).astype(np.float32), moved.astype(np.float32)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise CheckpointError(f"{path} has {path.stat().st_size:,} bytes: that is no description of a model.")
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged ({error}). Download or copy it again.") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{path} is damaged: it holds no JSON object. Download or copy it again.")
    return found


def _channels(folder: Path, name: str, value: Any, default: tuple[float, ...]) -> tuple[float, ...]:
    """Three finite numbers; deviations are positive."""
    if value is None:
        return default
    values = value if isinstance(value, list) else [value] * 3
    is_sound = len(values) == 3 and all(isinstance(v, int | float) and np.isfinite(v) and abs(v) < 1e6 for v in values)
    if not is_sound or (name == "std" and min(values) <= 1e-6):
        raise CheckpointError(f"The normalisation in {folder} is unusable: {name} = {value!r}, expected three numbers.")
    return tuple(float(v) for v in values)
