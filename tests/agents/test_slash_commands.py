"""Slash commands: what their words mean."""

from __future__ import annotations

import pytest

from agents.conversation.commands import parse
from contracts import JsonObject


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("/run greet name=Ada", {"name": "Ada"}),
        ('/run greet name="Ada Lovelace" n=2', {"name": "Ada Lovelace", "n": 2}),
        ('/run greet {"name": "Ada L", "n": [1, 2]}', {"name": "Ada L", "n": [1, 2]}),
        ('/run greet who={"first":"Ada B"}', {"who": {"first": "Ada B"}}),
        ('/run greet inches=5"', {"inches": '5"'}),
        ("/run\ngreet\nname=Bo", {"name": "Bo"}),
        ("/run greet", {}),
    ],
)
def test_a_run_takes_words_and_json(text: str, given: JsonObject) -> None:
    command = parse(text)

    assert command is not None
    assert not command.problem
    assert command.args == {"workflow": "greet", "input": given}


@pytest.mark.parametrize("text", ["/run greet Ada", "/run greet =Ada", "/run greet {x"])
def test_words_that_are_no_input_are_named(text: str) -> None:
    command = parse(text)

    assert command is not None
    assert "is not key=value" in command.problem
