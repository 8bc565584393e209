"""Compiling a workflow: every problem at once, or the plan everybody reads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Literal

from contracts import InvalidInput, JsonObject, Problem, invalid
from contracts.definitions import Workflow, WorkflowNode
from plans.compile.kinds import KINDS, Parts, Site
from plans.compile.order import ancestors, topological
from plans.compile.referring import check_references
from plans.compile.scope import ALWAYS, Problems, Scope
from plans.compile.shape import RESERVED_IDS, shape_of
from plans.compile.skeleton import Link, skeleton_of
from plans.compile.summary import facts_of, pins_of, risk_of, warnings_of
from plans.expressions import Expression
from plans.plan import Catalog, Plan, PlanEdge, PlanNode

MOST_PROBLEMS = 100
"""How many problems of one workflow are told."""


def compile_workflow(
    workflow: Workflow,
    digest: str,
    catalog: Catalog,
    *,
    known: Collection[str] = (),
    kind: Literal["workflow", "flow"] = "workflow",
) -> Plan:
    """The plan of a workflow: pure, equal arguments give an equal plan.

    ``digest`` is the workflow's own; ``catalog`` holds what it refers to; ``known`` are
    further ``kind:name`` for near matches; ``kind`` is how the definition is pinned.
    Raises InvalidInput: ``details`` hold up to 100 ``problems``, ``missing``
    references, and ``missing_tool_id`` if a tool is the first of them.
    """
    compiler = _Compiler(workflow, catalog)
    missing = compiler.check(known)
    edges, parts = compiler.edges(), compiler.parts()
    if compiler.problems.found:
        raise _refused(compiler.problems.found, missing)

    nodes = _nodes(compiler, edges, parts)
    return Plan(
        workflow=workflow,
        digest=digest,
        pins=pins_of(f"{kind}:{workflow.name}", digest, workflow, catalog),
        nodes=nodes,
        start=compiler.shape.starts[0].id,
        risk=risk_of(nodes.values()),
        facts=facts_of(nodes),
        warnings=warnings_of(workflow, nodes),
    )


def _refused(problems: list[Problem], missing: list[str]) -> InvalidInput:
    error = invalid(problems, most=MOST_PROBLEMS)
    tools = [name.partition(":")[2] for name in missing if name.startswith("tool:")]
    if missing:
        error.details["missing"] = missing

    if tools:
        error.details["missing_tool_id"] = tools[0]

    return error


class _Compiler:
    """A workflow on its way to a plan, with the problems found so far."""

    def __init__(self, workflow: Workflow, catalog: Catalog) -> None:
        self.workflow = workflow
        self.problems = Problems()
        self.shape = shape_of(skeleton_of(_plain(workflow)))
        for problem in self.shape.problems:
            self.problems.tell(problem.pointer, problem.code, problem.message)

        if self.shape.is_too_large:
            raise _refused(self.problems.found, [])

        self.ordered = topological(self.shape.graph)
        self._catalog = catalog
        self._before = ancestors(self.shape.graph, self.ordered)
        self._ids = frozenset(self.shape.graph) - RESERVED_IDS

    def check(self, known: Collection[str]) -> list[str]:
        """Note what is wrong with types and references; the missing ones."""
        for n, node in enumerate(self.workflow.nodes):
            if node.type not in KINDS:
                message = f"{node.type} is not available in this release."
                self.problems.tell(f"/nodes/{n}/type", "node_type_not_allowed", message)

        after = self.workflow.on_failure
        if after is not None and after.workflow == self.workflow.name:
            message = "A workflow does not follow its own failure."
            self.problems.tell("/on_failure/workflow", "invalid", message)

        return check_references(self.workflow, self._catalog, known, self.problems)

    def edges(self) -> list[PlanEdge]:
        """Every edge with its condition compiled."""
        return [self._edge(link) for link in self.shape.skeleton.links]

    def parts(self) -> dict[str, Parts]:
        """The compiled parts of every node of a known type."""
        return {
            node.id: KINDS[node.type].parts(node, self._site(node, f"/nodes/{n}"))
            for n, node in enumerate(self.workflow.nodes)
            if node.type in KINDS
        }

    def _edge(self, link: Link) -> PlanEdge:
        return PlanEdge(
            source=link.source,
            target=link.target,
            end=link.end,
            when=self._condition(link),
            otherwise=link.otherwise,
        )

    def _condition(self, link: Link) -> Expression | None:
        """A case is asked before its branch has an output, an edge after its node."""
        if link.when is None:
            return None

        also = frozenset[str]() if link.is_case else frozenset({link.source})
        scope = self._scope(link.source, also)
        return scope.expression(link.when, link.when_pointer, "bool")

    def _site(self, node: WorkflowNode, at: str) -> Site:
        return Site(at, self._scope(node.id), self._catalog)

    def _scope(self, node_id: str, also: frozenset[str] = frozenset()) -> Scope:
        """What expressions of a node may name; anything if there is no order."""
        is_ordered = len(self.ordered) == len(self.shape.graph)
        before = self._before.get(node_id, set()) if is_ordered else self._ids
        known = (before | also | ALWAYS) - (RESERVED_IDS - ALWAYS)
        return Scope(frozenset(known), self._ids - known, self.problems)


def _nodes(
    compiler: _Compiler, edges: Iterable[PlanEdge], parts: Mapping[str, Parts]
) -> dict[str, PlanNode]:
    incoming: dict[str, list[PlanEdge]] = defaultdict(list)
    outgoing: dict[str, list[PlanEdge]] = defaultdict(list)
    for edge in edges:
        incoming[edge.target].append(edge)
        outgoing[edge.source].append(edge)

    definitions = {node.id: node for node in compiler.workflow.nodes}
    return {
        name: PlanNode(
            position=position,
            definition=definitions[name],
            incoming=tuple(incoming[name]),
            outgoing=tuple(outgoing[name]),
            template=parts[name].template,
            expressions=parts[name].expressions,
            input_schema=parts[name].input_schema,
            output_schema=parts[name].output_schema,
            tool=parts[name].tool,
            prompt=parts[name].prompt,
            knowledge=parts[name].knowledge,
        )
        for position, name in enumerate(compiler.ordered)
    }


def _plain(workflow: Workflow) -> JsonObject:
    return workflow.model_dump(mode="json", by_alias=True)
