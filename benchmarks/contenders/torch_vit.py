"""Contender: a train step of the same ViT in PyTorch, timm's where it is installed, in the better of two forms.

Eager and compiled are both tried, and the faster one answers. Float32 on a CPU; on a GPU bfloat16 autocast, channels
last, fused SGD.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from benchmarks.contenders import cases
from benchmarks.contenders.process import serve
from munet.vit import architecture


class Block(nn.Module):
    """A transformer block as timm makes it: attention and MLP, each behind its norm."""

    def __init__(self, width: int, heads: int, hidden: int):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Any) -> Any:
        """The tokens behind the block, of the same shape: batch, tokens, width."""
        batch, tokens, width = x.shape
        qkv = self.qkv(self.norm1(x)).reshape(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        x = x + self.proj(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return x + self.fc2(functional.gelu(self.fc1(self.norm2(x)), approximate="tanh"))


class Vit(nn.Module):
    """timm's VisionTransformer with class token."""

    def __init__(self, variant: architecture.Variant, num_blocks: int, image_size: int, classes: int):
        super().__init__()
        width = variant.width
        self.patches = nn.Conv2d(3, width, variant.patch_size, variant.patch_size)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.position = nn.Parameter(torch.randn(1, variant.num_tokens(image_size), width) * 0.02)
        self.blocks = nn.ModuleList(Block(width, variant.num_heads, variant.mlp_dim) for _ in range(num_blocks))
        self.norm, self.head = nn.LayerNorm(width, eps=1e-6), nn.Linear(width, classes)

    def forward(self, images: Any) -> Any:
        """The class scores of images in PyTorch's order (batch, channels, height, width), one row an image."""
        x = self.patches(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.position
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


def make_model(case: cases.Case) -> tuple[Any, str]:
    """Timm's model of the same shape and its name; without timm, or where timm does not load, ours."""
    variant = architecture.get_variant(case.variant)
    try:
        from timm.models.vision_transformer import VisionTransformer
    except (ImportError, RuntimeError):  # torchvision beside another torch raises the latter
        return Vit(variant, case.num_blocks, case.image_size, 64), "as timm's"
    model = VisionTransformer(
        img_size=case.image_size,
        patch_size=variant.patch_size,
        num_classes=64,
        embed_dim=variant.width,
        depth=case.num_blocks,
        num_heads=variant.num_heads,
        mlp_ratio=variant.mlp_dim / variant.width,
        act_layer="gelu_tanh",
    )
    return model, "timm"


class TorchStep:
    """Full training of one child: clip to norm 1, SGD with momentum."""

    def __init__(self, case: cases.Case):
        torch.manual_seed(case.seed)
        self._case = case
        self._on_gpu = torch.cuda.is_available()
        self._device = torch.device("cuda" if self._on_gpu else "cpu")
        self._model, self._source = make_model(case)
        self._model.to(self._device)
        options: dict[str, Any] = {"fused": True} if self._on_gpu else {"foreach": True}
        self._optimizer = torch.optim.SGD(self._model.parameters(), 0.01, momentum=0.9, **options)
        self._images = torch.randn(case.batch_size, 3, case.image_size, case.image_size, device=self._device)
        if self._on_gpu:
            self._images = self._images.to(memory_format=torch.channels_last)
        self._labels = torch.randint(0, 10, (case.batch_size,), device=self._device)
        forms: dict[str, Callable[[Any], Any]] = {"eager": self._model}
        try:
            compiled = torch.compile(self._model)
            self._time(compiled, 2)
            forms["compiled"] = compiled
        except Exception as error:  # needs a C++ compiler, which is not ours to ask for
            print(f"torch.compile does not work here: {error}", file=sys.stderr)
        times = {}
        for name, form in forms.items():
            self._time(form, 2)
            times[name] = min(self._time(form, 3) for _ in range(3))
        self._form = min(times, key=lambda name: times[name])
        self._forward = forms[self._form]

    def steps(self) -> float:
        """Seconds of one step."""
        return self._time(self._forward, self._case.steps)

    def form(self) -> str:
        """The model's source, form, dtype and PyTorch's version, as the table is to name them."""
        dtype = "bfloat16 autocast" if self._on_gpu else "float32"
        return f"{self._source}, {self._form}, {dtype}, torch {torch.__version__}"

    def _time(self, forward: Callable[[Any], Any], count: int) -> float:
        self._wait()
        started = time.perf_counter()
        for _ in range(count):
            self._optimizer.zero_grad(set_to_none=True)
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._on_gpu):
                loss = functional.cross_entropy(forward(self._images), self._labels)
            loss.backward()
            nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
            self._optimizer.step()
        self._wait()
        return (time.perf_counter() - started) / count

    def _wait(self) -> None:
        if self._on_gpu:
            torch.cuda.synchronize()


def main() -> None:
    """Answers what is asked of PyTorch about the case on the command line."""
    step = TorchStep(cases.read(json.loads(sys.argv[1])["case"]))
    serve({"steps": step.steps, "form": step.form})


if __name__ == "__main__":
    main()
