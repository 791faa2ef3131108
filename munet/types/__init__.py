"""The nouns of munet, each defined once: components, models, children, generations and what the journal records.

All are frozen values and hold no arrays: a model is a list of component ids plus hyper-parameters, lineage and
measurements. Whoever needs one imports it from here; the glossary is docs/concepts.md.
"""

from __future__ import annotations

from munet.quality import Quality
from munet.types.children import (
    ChildCost,
    ChildPlan,
    ComponentPlan,
    CycleQualities,
    GenerationPlan,
    Mutation,
    Position,
    Verdict,
)
from munet.types.components import COLUMNS, ROWS, ComponentRecord, Leaf, Origin
from munet.types.entries import (
    ChildEntry,
    CompressedModel,
    CompressionEntry,
    ExtendEntry,
    ForgetEntry,
    GenerationEntry,
    JournalEntry,
    PhaseEntry,
    SeedsEntry,
    StartEntry,
)
from munet.types.models import ModelRecord
from munet.types.names import (
    ROOT_MODEL,
    ComponentId,
    ComponentName,
    Hyperparameters,
    HyperparameterValue,
    ModelId,
    TaskName,
)
from munet.types.tasks import Objective, TaskInfo, Unit

__all__ = [
    "COLUMNS", "ROOT_MODEL", "ROWS", "ChildCost", "ChildEntry", "ChildPlan", "ComponentId", "ComponentName",
    "ComponentPlan", "ComponentRecord", "CompressedModel", "CompressionEntry", "CycleQualities", "ExtendEntry",
    "ForgetEntry", "GenerationEntry", "GenerationPlan", "HyperparameterValue", "Hyperparameters", "JournalEntry",
    "Leaf", "ModelId", "ModelRecord", "Mutation", "Objective", "Origin", "PhaseEntry", "Position", "Quality",
    "SeedsEntry", "StartEntry", "TaskInfo", "TaskName", "Unit", "Verdict",
]  # fmt: skip
