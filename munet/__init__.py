"""munet: evolves one pretrained ViT into a single system that solves many image-classification tasks."""

from __future__ import annotations

__version__ = "0.1.0"
