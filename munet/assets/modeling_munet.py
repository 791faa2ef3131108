"""A ViT of timm with residual adapters: `import modeling_munet` before `timm.create_model("local-dir:FOLDER", ...)`.

munet writes this file beside the `model.safetensors` of every exported model that has adapters. It needs torch and
timm, no munet. Licence: Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from timm.models import build_model_with_cfg, register_model
from timm.models.vision_transformer import Block, VisionTransformer
from torch import nn


class Adapter(nn.Module):
    """A bottleneck MLP that is added to its input."""

    def __init__(self, width: int, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.fc1 = nn.Linear(width, dim)
        self.fc2 = nn.Linear(dim, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Adds the bottleneck's output."""
        return x + self.fc2(nn.functional.gelu(self.fc1(self.norm(x)), approximate="tanh"))


class AdaptedBlock(Block):
    """A block of timm's with an adapter before it."""

    def __init__(self, dim: int, adapter: int, **arguments: Any) -> None:
        super().__init__(dim, **arguments)
        self.adapter = Adapter(dim, adapter)

    def forward(self, x: torch.Tensor, *arguments: Any, **options: Any) -> torch.Tensor:
        """The adapter, then timm's own block."""
        return super().forward(self.adapter(x), *arguments, **options)


class AdaptedVisionTransformer(VisionTransformer):
    """timm's ViT; `adapters` has the inner width of each adapter by the index of its block, as text."""

    def __init__(self, adapters: Mapping[str, int], **arguments: Any) -> None:
        indices = iter(range(arguments["depth"]))

        def block(**of_block: Any) -> Block:
            width = adapters.get(str(next(indices)))
            return Block(**of_block) if width is None else AdaptedBlock(adapter=width, **of_block)

        super().__init__(block_fn=block, **arguments)


def munet_vit(pretrained: bool = False, **arguments: Any) -> AdaptedVisionTransformer:
    """What `config.json` names as architecture."""
    return build_model_with_cfg(AdaptedVisionTransformer, "munet_vit", pretrained, **arguments)


register_model(munet_vit)
