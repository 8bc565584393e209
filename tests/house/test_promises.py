"""Promises that syntax shows: what ports guarantee, what tasks are called."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.support.checkout import place, product, python, tree


def test_every_port_states_its_guarantees_in_prose() -> None:
    silent = [
        f"{place(path, port)} {port.name}"
        for path in product()
        for port in _ports(path)
        if "Guarantees" not in (ast.get_docstring(port) or "")
    ]

    assert silent == [], (
        "add a paragraph «Guarantees: …»: order, delivery, crash, errors"
    )


def test_every_method_of_a_port_says_what_it_promises() -> None:
    silent = [
        f"{place(path, method)} {port.name}.{method.name}"
        for path in product()
        for port in _ports(path)
        for method in port.body
        if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef)
        and not ast.get_docstring(method)
    ]

    assert silent == [], "one sentence, and what it raises"


def test_every_task_has_a_name_an_operator_can_read() -> None:
    nameless = [
        place(path, call)
        for path in product()
        for call in _calls(path)
        if _called(call) == "create_task"
        and not any(word.arg == "name" for word in call.keywords)
    ]

    assert nameless == [], "give create_task a name="


def test_nothing_waits_by_asyncio_wait_for() -> None:
    waiting = [
        place(path, call)
        for path in python()
        for call in _calls(path)
        if _called(call) == "wait_for"
        and isinstance(call.func, ast.Attribute)
        and getattr(call.func.value, "id", "") == "asyncio"
    ]

    assert waiting == [], "use anyio.fail_after or anyio.move_on_after"


def _ports(path: Path) -> Iterator[ast.ClassDef]:
    """Public Protocols that say more than one call's signature."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            bases = [
                base.value if isinstance(base, ast.Subscript) else base
                for base in node.bases
            ]
            if any(getattr(base, "id", "") == "Protocol" for base in bases):
                yield node


def _calls(path: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.Call))


def _called(call: ast.Call) -> str:
    """The last word of what is called."""
    return getattr(call.func, "attr", getattr(call.func, "id", ""))
