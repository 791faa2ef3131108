"""How things are called: the types of ids, names and hyper-parameters."""

from __future__ import annotations

from collections.abc import Mapping

ComponentId = str  # SHA-256 over record and bytes, 64 hexadecimal digits
# "embedding", "cls", "posembed_input", "residual_adapter_0", "lora_0", "encoderblock_0", "encoder_norm", "head"
ComponentName = str
ModelId = int  # counts up over the whole run; the root model is 0
TaskName = str
HyperparameterValue = bool | int | float | str
Hyperparameters = Mapping[str, HyperparameterValue]  # every name that evolution/search_space.py gives the run

ROOT_MODEL: ModelId = 0
