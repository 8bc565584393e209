"""Compiling definitions: the one function that save, gate, simulate and engine use."""

from __future__ import annotations

from plans.compile.checking import check_stage, check_tool
from plans.compile.compiler import compile_workflow
from plans.compile.definitions import read_definition, read_workflow
from plans.compile.flows import workflow_of
from plans.compile.kinds import KINDS
from plans.compile.referring import references
from plans.compile.shape import RESERVED_IDS

__all__ = [
    "KINDS",
    "RESERVED_IDS",
    "check_stage",
    "check_tool",
    "compile_workflow",
    "read_definition",
    "read_workflow",
    "references",
    "workflow_of",
]
