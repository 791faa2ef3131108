"""What the JSON files beside a safetensors model say and its arrays do not: activation, heads, scaling of pixels."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from munet.errors import CheckpointError

_MAX_BYTES = 1 << 20
_MODEL = "model.safetensors"  # as those programs name it: the folder's own
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
      image_size, patch_size: height and width in pixels; None: it does not say.
      place: of the config, for messages.
    """

    is_found: bool = False
    activation: str = ""
    num_heads: int | None = None
    pooling: str = ""
    mean: tuple[float, ...] = _OURS[0]
    std: tuple[float, ...] = _OURS[1]
    image_size: tuple[int, int] | None = None
    patch_size: tuple[int, int] | None = None
    place: str = ""

    @property
    def is_scaled_as_ours(self) -> bool:
        """Whether the model takes pixels in [-1, 1], as we do."""
        return (self.mean, self.std) == _OURS

    @property
    def has_our_gelu(self) -> bool:
        """Whether the MLPs use the tanh form of GELU."""
        return self.activation in _TANH

    def foreign_to(self, num_heads: int, patch_size: int) -> list[str]:
        """What a ViT of ours with `num_heads` heads and square patches of some pixels has not, by name."""
        found = []
        if self.patch_size not in (None, (patch_size, patch_size)):
            found.append(f"patches of {_by(self.patch_size)} pixels in {self.place}, but of {patch_size} in its arrays")
        if self.activation and self.activation not in (*_TANH, *_EXACT):
            found.append(f"the activation {self.activation!r} instead of GELU")
        if self.num_heads not in (None, num_heads):
            found.append(f"{self.num_heads} attention heads instead of {num_heads}")
        if self.pooling not in ("", "token"):
            found.append(f"features pooled by {self.pooling!r} instead of the class token")
        return found

    def misfit(self, grid: int) -> str:
        """How the images that it is for differ from a square of `grid` x `grid` patches; "": they do not."""
        if self.image_size is None or self.patch_size is None:
            return ""
        sides = tuple(side // patch for side, patch in zip(self.image_size, self.patch_size, strict=True))
        if sides == (grid, grid):
            return ""
        return (
            f"images of {_by(self.image_size)} pixels in {self.place}, so {_by(sides)} patches, but a position "
            f"embedding for {grid * grid}, which are {grid} x {grid} if anything"
        )


def read_config(path: Path, patch_size: int) -> ForeignConfig:
    """Reads what lies beside a safetensors file, as far as it is there: NAME.config.json, else config.json.

    `preprocessor_config.json` goes with it, in the same way.

    Args:
      path: of the safetensors file.
      patch_size: of its arrays, where the config says nothing of patches.

    Raises:
      CheckpointError: they are damaged, hold something else than they should, or it is not said whose they are.
    """
    folder = path.parent
    config_path, preprocessor_path = (_beside(path, name) for name in ("config.json", "preprocessor_config.json"))
    config, preprocessor = _read(config_path), _read(preprocessor_path)
    if config is None and preprocessor is None:
        return ForeignConfig()
    is_found, config = config is not None, config or {}
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
        is_found=is_found,
        activation=str(activation),
        num_heads=heads if isinstance(heads, int) else None,
        pooling=str(pooling or ""),
        mean=_channels(folder, "mean", mean, _OURS[0]),
        std=_channels(folder, "std", std, _OURS[1]),
        image_size=_sides(
            config_path, _first(arguments.get("img_size"), config.get("image_size"), trained.get("input_size"))
        ),
        patch_size=_sides(config_path, _first(arguments.get("patch_size"), config.get("patch_size"), patch_size)),
        place=config_path.name,
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


def _beside(path: Path, name: str) -> Path:
    """Where the description of a file is.

    Raises:
      CheckpointError: there is one that may be of any of several files.
    """
    own = path.with_name(f"{path.stem}.{name}")
    shared = path.with_name(name)
    if own.is_file() or path.name == _MODEL or not shared.is_file():
        return own if own.is_file() else shared
    others = sorted(file.name for file in path.parent.glob("*.safetensors") if file.name != path.name)
    if others:
        raise CheckpointError(
            f"{shared} may describe {path.name} or {others[0]}, which it does not say, and without it the scaling of "
            f"pixels would be guessed: name it {own.name}, or give each file a folder of its own."
        )
    return shared


def _sides(path: Path, value: Any) -> tuple[int, int] | None:
    """Height and width of a number, of two, or of three with the channels first."""
    if value is None:
        return None
    values = value if isinstance(value, list) else [value, value]
    if len(values) == 3:
        values = values[1:]
    if len(values) != 2 or any(type(side) is not int or side < 1 for side in values):
        raise CheckpointError(f"{path} is unusable: a size in pixels of {value!r}, expected a number or two.")
    return values[0], values[1]


def _first(*values: Any) -> Any:
    """The first that is said."""
    return next((value for value in values if value is not None), None)


def _by(sides: tuple[int, ...] | None) -> str:
    return " x ".join(map(str, sides or ()))


def _channels(folder: Path, name: str, value: Any, default: tuple[float, ...]) -> tuple[float, ...]:
    """Three finite numbers; deviations are positive."""
    if value is None:
        return default
    values = value if isinstance(value, list) else [value] * 3
    is_sound = len(values) == 3 and all(isinstance(v, int | float) and np.isfinite(v) and abs(v) < 1e6 for v in values)
    if not is_sound or (name == "std" and min(values) <= 1e-6):
        raise CheckpointError(f"The normalisation in {folder} is unusable: {name} = {value!r}, expected three numbers.")
    return tuple(float(v) for v in values)
