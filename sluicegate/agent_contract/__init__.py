"""The older folder form of an agent, read into a flow, stages, tools and knowledge.

``stage_manifest.json|yaml`` names the stages and what each depends on;
``stage_runtime_contract.md`` holds the schema of each stage's output in a fenced block
below a heading of its id; ``tools/*.json`` are functions in OpenAI's form, with
``x-http`` or ``x-kind`` saying how they are called; ``KnowledgeBase/*.yaml`` is what
the stages know.
"""

from __future__ import annotations

from sluicegate.agent_contract.contract import Contract, read_contract

__all__ = ["Contract", "read_contract"]
