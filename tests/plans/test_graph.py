"""The frontier: every node once, in order, and the same again from its routes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import InvalidInput, JsonObject, PermanentError
from plans import EdgeEnd, Frontier, Plan, Settled, routes
from tests.support.workflows import END, branch, call, plan, transform, workflow

ASK: JsonObject = {"id": "ask", "type": "approval"}
FAIL: JsonObject = {"id": "broken", "type": "fail"}


class Walker:
    """Settles nodes by hand."""

    def __init__(self, body: JsonObject, **given: Any) -> None:
        self.plan = plan(body)
        self.frontier = Frontier(self.plan)
        self.values: dict[str, Any] = {"start": given, "run": {}}

    def ends(self, node_id: str, end: EdgeEnd = "done", **output: Any) -> Settled:
        self.values.setdefault(node_id, {}).update(output)
        return self.frontier.settle(node_id, end, self.values)


def fork(join: str = "all") -> JsonObject:
    last = {**END, "join": join}
    body = workflow([call("a"), call("b")], ["start>a", "start>b", "a>end", "b>end"])
    body["nodes"][-1] = last
    return body


def test_a_run_begins_at_its_start() -> None:
    walk = Walker(fork())

    assert walk.frontier.open == {"start"}
    assert walk.ends("start") == Settled(("a", "b"), (), ("a", "b"))


def test_all_waits_for_every_branch() -> None:
    walk = Walker(fork())
    walk.ends("start")

    assert walk.ends("b").ready == ()
    assert walk.ends("a").ready == ("end",)
    assert walk.ends("end") == Settled((), (), ())
    assert walk.frontier.is_done


def test_any_begins_at_the_first_branch_and_only_once() -> None:
    walk = Walker(fork("any"))
    walk.ends("start")

    assert walk.ends("b").ready == ("end",)
    walk.ends("end")
    assert walk.ends("a").ready == ()
    assert walk.frontier.is_done


def test_a_branch_takes_the_first_case_that_holds() -> None:
    body = workflow(
        [branch("pick", "a?start.n > 1", "b?start.n > 0", default="c")]
        + [transform(name) for name in "abc"],
        ["start>pick", "a>end", "b>end", "c>end"],
    )
    for n, chosen, others in ((2, "a", "bc"), (1, "b", "ac"), (0, "c", "ab")):
        walk = Walker(body, n=n)
        walk.ends("start")

        assert walk.ends("pick") == Settled((chosen,), tuple(others), (chosen,))


def test_every_condition_that_holds_is_followed() -> None:
    body = workflow(
        [transform(name) for name in "abcd"],
        [
            "start>a?start.n > 1",
            "start>b?start.n > 0",
            "start>c?",
            "start>d",
            *(f"{name}>end" for name in "abcd"),
        ],
    )

    assert Walker(body, n=2).ends("start").routes == ("a", "b", "d")
    assert Walker(body, n=1).ends("start").routes == ("b", "d")
    assert Walker(body, n=0).ends("start").routes == ("c", "d")


def test_a_join_does_not_wait_for_what_is_skipped() -> None:
    body = workflow(
        [transform(name) for name in "abc"],
        ["start>a?start.n > 0", "start>b?", "a>c", "c>end", "b>end"],
    )
    walk = Walker(body, n=0)

    assert walk.ends("start") == Settled(("b",), ("a", "c"), ("b",))
    assert walk.ends("b").ready == ("end",)


def test_an_error_leads_along_error_edges_only() -> None:
    body = workflow(
        [call("a"), transform("b"), FAIL],
        ["start>a", "a>b", "b>end", "a>broken!error"],
    )
    walk = Walker(body)
    walk.ends("start")

    assert walk.ends("a", "error", error={}) == Settled(
        ("broken",), ("b", "end"), ("broken",)
    )


def test_a_refusal_leads_along_refused_edges_only() -> None:
    body = workflow([ASK, FAIL], ["start>ask", "ask>end", "ask>broken!refused"])
    walk = Walker(body)
    walk.ends("start")

    assert walk.ends("ask", "refused").ready == ("broken",)


def test_a_condition_on_an_error_sees_the_error() -> None:
    body = workflow(
        [call("a"), FAIL],
        [
            "start>a",
            "a>end",
            "a>end!error?a.error.code == 'tool_timeout'",
            "a>broken!error?",
        ],
    )
    walk = Walker(body)
    walk.ends("start")

    assert walk.ends("a", "error", error={"code": "tool_timeout"}).routes == ("end",)


def test_a_condition_that_fails_changes_nothing() -> None:
    body = workflow([call("a")], ["start>a", "a>end?a.n > 1", "a>end?"])
    walk = Walker(body)
    walk.ends("start")
    with pytest.raises(InvalidInput) as caught:
        walk.ends("a", other=1)

    assert caught.value.code == "cel_no_such_field"
    assert walk.frontier.open == {"a"}
    assert walk.ends("a", n=2).ready == ("end",)


@pytest.mark.parametrize("node_id", ["end", "nobody", "start"])
def test_only_an_open_node_ends(node_id: str) -> None:
    walk = Walker(fork())
    walk.ends("start")
    with pytest.raises(PermanentError):
        walk.ends(node_id)

    assert walk.frontier.open == {"a", "b"}


@st.composite
def graphs(draw: st.DrawFn) -> JsonObject:
    """Random graphs: layers, branches, conditions, error edges, both joins."""
    size = draw(st.integers(1, 12))
    names = [f"n{n}" for n in range(size)]
    order = ["start", *names]
    nodes: list[JsonObject] = []
    edges: list[str] = []
    for n, name in enumerate(names):
        sources = draw(st.sets(st.sampled_from(order[: n + 1]), min_size=1, max_size=3))
        nodes.append({**call(name), "join": draw(st.sampled_from(["all", "any"]))})
        edges += [f"{source}>{name}{draw(_SUFFIX)}" for source in sorted(sources)]

    edges += [f"{name}>end{draw(_SUFFIX)}" for name in order]
    body = workflow(nodes, sorted(set(_allowed(edges))))
    body["nodes"][-1] = {**END, "join": draw(st.sampled_from(["all", "any"]))}
    return body


_SUFFIX = st.sampled_from(["", "", "?start.flag", "?!start.flag", "?", "!error"])


def _allowed(edges: list[str]) -> list[str]:
    """The edges, none on an error of the start, and a plain way out everywhere."""
    said = [e.removesuffix("!error") if e.startswith("start") else e for e in edges]
    out = [f"{source}>end" for source in {edge.partition(">")[0] for edge in said}]
    again = {f"{way}?" for way in out}
    return [*(edge for edge in said if edge not in again), *out]


_ENDS: list[EdgeEnd] = ["done", "done", "done", "error"]
_END = st.sampled_from(_ENDS)


class Watch:
    """Sees to it that every node begins or is skipped once, and never too early."""

    def __init__(self, made: Plan) -> None:
        self.plan = made
        self.told: list[tuple[str, Settled]] = []
        self.began = {made.start}
        self.skipped: set[str] = set()
        self.taken: set[tuple[str, str]] = set()

    def see(self, node_id: str, settled: Settled) -> None:
        self.told.append((node_id, settled))
        self.taken |= {(node_id, target) for target in settled.routes}
        for name in settled.skipped:
            assert name not in self.began | self.skipped
            assert not any(target == name for _, target in self.taken)
            self.skipped.add(name)

        for name in settled.ready:
            assert name not in self.began | self.skipped
            assert any(target == name for _, target in self.taken)
            self.began.add(name)
            self._assert_joined(name)

    def _assert_joined(self, name: str) -> None:
        node = self.plan.nodes[name]
        sources = {edge.source for edge in node.incoming}
        ended = {ended for ended, _ in self.told}
        if node.definition.join == "all":
            assert sources <= ended | self.skipped


@settings(deadline=None)
@given(graphs(), st.booleans(), st.data())
def test_every_node_begins_or_is_skipped_once_and_never_too_early(
    body: JsonObject, flag: bool, data: st.DataObject
) -> None:
    watch = Watch(plan(body))
    frontier = Frontier(watch.plan)
    values = {"start": {"flag": flag}, "run": {}}
    while not frontier.is_done:
        node = data.draw(st.sampled_from(sorted(frontier.open)))
        end = "done" if node in ("start", "end") else data.draw(_END)
        watch.see(node, frontier.settle(node, end, values))

    assert watch.began | watch.skipped == watch.plan.nodes.keys()
    _assert_replays(watch.plan, watch.told)


def _assert_replays(made: Plan, told: list[tuple[str, Settled]]) -> None:
    again = Frontier(made)
    for node, settled in told:
        assert again.resettle(node, settled.routes) == settled

    assert again.is_done


@settings(deadline=None, max_examples=50)
@given(graphs(), st.booleans())
def test_routes_are_targets_of_edges_each_once(body: JsonObject, flag: bool) -> None:
    made = plan(body)
    for node in made.nodes.values():
        for end in _ENDS:
            found = routes(node, end, {"start": {"flag": flag}})
            assert len(set(found)) == len(found)
            assert set(found) <= {e.target for e in node.outgoing if e.end == end}


def test_a_long_chain_of_skipped_nodes_is_skipped_at_once() -> None:
    names = [f"n{n}" for n in range(490)]
    path = [*names, "end"]
    edges = [f"{a}>{b}" for a, b in pairwise(path)]
    body = workflow(
        map(transform, names), ["start>n0?start.flag", "start>end?", *edges]
    )

    assert Walker(body, flag=False).ends("start").skipped == tuple(names)
