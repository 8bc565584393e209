"""The node types this release executes, and how the parts of each are compiled.

``KINDS`` is the one table: a type that is not in it is refused by ``compile``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import JsonValue

from contracts import JsonObject
from contracts.definitions import (
    ApprovalNode,
    Branch,
    Classify,
    Fail,
    ModelNode,
    Notify,
    Retrieve,
    Tool,
    ToolNode,
    Transform,
    Wait,
    WorkflowEnd,
    WorkflowStart,
)
from plans.compile import asked
from plans.compile.scope import Scope
from plans.expressions import Expression, Template
from plans.plan import Catalog, Prompt
from plans.schemas import Schema


@dataclass(frozen=True, slots=True)
class Site:
    """Where a node stands: its pointer, its scope, and what it may refer to."""

    at: str
    scope: Scope
    catalog: Catalog

    def template(self, value: JsonValue, field_name: str) -> Template | None:
        """The compiled template of a field."""
        return self.scope.template(value, f"{self.at}/{field_name}")

    def fields(self, **values: JsonValue) -> Template | None:
        """The compiled template of an object of several fields."""
        return self.scope.template(values, self.at)

    def schema(self, schema: JsonObject, field_name: str) -> Schema | None:
        """The compiled schema of a field; None for an empty one."""
        return self.scope.schema(schema, f"{self.at}/{field_name}")


@dataclass(frozen=True, slots=True)
class Parts:
    """What of a node is compiled; see PlanNode."""

    template: Template | None = None
    expressions: Mapping[str, Expression] = field(default_factory=dict)
    input_schema: Schema | None = None
    output_schema: Schema | None = None
    tool: Tool | None = None
    prompt: Prompt | None = None
    knowledge: Mapping[str, JsonObject] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of nodes: how its parts are compiled, and whether it may fail."""

    parts: Callable[[Any, Site], Parts]
    may_fail: bool = False


def _start(node: WorkflowStart, site: Site) -> Parts:
    return Parts(input_schema=site.schema(node.input_schema, "input_schema"))


def _end(node: WorkflowEnd, site: Site) -> Parts:
    return Parts(
        template=site.template(node.output, "output"),
        output_schema=site.schema(node.output_schema, "output_schema"),
    )


def _transform(node: Transform, site: Site) -> Parts:
    return Parts(template=site.template(node.output, "output"))


def _branch(_: Branch, __: Site) -> Parts:
    return Parts()


def _tool(node: ToolNode, site: Site) -> Parts:
    entry = site.catalog.get(f"tool:{node.tool}")
    tool = entry.body if entry is not None and isinstance(entry.body, Tool) else None
    template = site.template(node.input, "input")
    if tool is None:
        return Parts(template=template)

    return Parts(
        template=template,
        input_schema=site.schema(tool.input_schema, "tool"),
        output_schema=site.schema(tool.output_schema, "tool"),
        tool=tool,
    )


def _retrieve(node: Retrieve, site: Site) -> Parts:
    return Parts(
        template=site.template(node.query, "query"),
        knowledge=asked.knowledge_of((node.knowledge,), site.catalog),
    )


def _notify(node: Notify, site: Site) -> Parts:
    asked.refuse_approval(node, site.at, site.scope.problems)
    return Parts(template=site.fields(text=node.text))


def _model(node: ModelNode, site: Site) -> Parts:
    stage = asked.stage_of(node.stage, site.catalog)
    template = site.template(node.input, "input")
    asked.refuse_approval(node, site.at, site.scope.problems)
    if stage is None:
        return Parts(template=template)

    return Parts(
        template=template,
        input_schema=site.schema(stage.input_schema, "stage"),
        output_schema=site.schema(stage.output_schema, "stage"),
        prompt=asked.prompt_of(stage, site.catalog, site.at, site.scope.problems),
        knowledge=asked.knowledge_of(stage.knowledge, site.catalog),
    )


def _classify(node: Classify, site: Site) -> Parts:
    template = site.template(node.input, "input")
    asked.refuse_approval(node, site.at, site.scope.problems)
    known = asked.stage_of(node.stage, site.catalog) if node.stage else None
    stage = asked.choosing(node, known)
    prompt = asked.prompt_of(stage, site.catalog, site.at, site.scope.problems)
    if prompt is None:
        return Parts(template=template)

    routes = {route.name: route.to for route in node.routes}
    return Parts(
        template=template,
        input_schema=site.schema(stage.input_schema, "stage"),
        output_schema=site.schema(stage.output_schema, "routes"),
        prompt=replace(prompt, routes=routes, default=node.default),
        knowledge=asked.knowledge_of(stage.knowledge, site.catalog),
    )


def _approval(node: ApprovalNode, site: Site) -> Parts:
    site.schema(node.form_schema, "form_schema")
    return Parts(template=site.fields(message=node.message, show=node.show))


def _wait(node: Wait, site: Site) -> Parts:
    said = {"seconds": node.seconds, "until": node.until}
    compiled = {
        name: site.scope.expression(text, f"{site.at}/{name}", "any")
        for name, text in said.items()
        if isinstance(text, str)
    }
    return Parts(expressions={n: made for n, made in compiled.items() if made})


def _fail(node: Fail, site: Site) -> Parts:
    return Parts(template=site.fields(message=node.message))


KINDS: dict[str, Kind] = {
    "workflow_start": Kind(_start),
    "workflow_end": Kind(_end),
    "transform": Kind(_transform, may_fail=True),
    "tool": Kind(_tool, may_fail=True),
    "branch": Kind(_branch),
    "wait": Kind(_wait, may_fail=True),
    "approval": Kind(_approval, may_fail=True),
    "model": Kind(_model, may_fail=True),
    "classify": Kind(_classify, may_fail=True),
    "retrieve": Kind(_retrieve, may_fail=True),
    "notify": Kind(_notify, may_fail=True),
    "fail": Kind(_fail),
}
"""Every executable node type."""
