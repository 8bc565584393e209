"""What is meant: expressions, plans, graphs and folds, as pure functions.

No clock, no I/O: equal arguments give equal answers, here and after every crash.
Expressions and templates live in ``plans.expressions``.
"""

from __future__ import annotations

from plans.compile import (
    KINDS,
    RESERVED_IDS,
    check_stage,
    check_tool,
    compile_workflow,
    read_definition,
    read_workflow,
    references,
    workflow_of,
)
from plans.fold import Progress, apply, fold, resume_fold
from plans.graph import Frontier, Routes, Settled, Values, routes
from plans.plan import Catalog, CatalogEntry, EdgeEnd, Plan, PlanEdge, PlanNode
from plans.schemas import Schema, compile_schema
from plans.yaml_text import read_yaml

__all__ = [
    "KINDS",
    "RESERVED_IDS",
    "Catalog",
    "CatalogEntry",
    "EdgeEnd",
    "Frontier",
    "Plan",
    "PlanEdge",
    "PlanNode",
    "Progress",
    "Routes",
    "Schema",
    "Settled",
    "Values",
    "apply",
    "check_stage",
    "check_tool",
    "compile_schema",
    "compile_workflow",
    "fold",
    "read_definition",
    "read_workflow",
    "read_yaml",
    "references",
    "resume_fold",
    "routes",
    "workflow_of",
]
