"""Log lines: one a fact, JSON in the file, and no secret however it is written."""

from __future__ import annotations

import base64
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import structlog
from hypothesis import assume, given
from hypothesis import strategies as st

from sluicegate.logs import Redaction, configure_logs
from tests.support.logging import restored

CANARY = 'c4nary/"quoted"\\+secret=värde'
KEY = "sg_01m7y4ad52evcba6zat7tp05c2_" + "Ab-_" * 11


@pytest.fixture(autouse=True)
def _configured() -> Iterator[None]:
    """The logs of the test run are as before."""
    with restored():
        yield


def logged(tmp_path: Path, **more: Any) -> tuple[Any, Path]:
    """A logger, and the file its lines go to."""
    file = tmp_path / "logs" / "own.jsonl"
    given: dict[str, Any] = {"file": file, "terminal_level": "off", "secrets": [CANARY]}
    configure_logs(**{**given, **more})
    return structlog.get_logger("test"), file


def lines(file: Path) -> list[dict[str, Any]]:
    """What the file holds."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


# ------------------------------------------------------------------- redaction

WRITTEN = {
    "plain": CANARY,
    "JSON": json.dumps(CANARY),
    "JSON in JSON": json.dumps({"body": json.dumps({"token_": CANARY})}),
    "JSON without escapes": json.dumps(CANARY, ensure_ascii=False),
    "URL": f"https://a.example/?k={quote(CANARY, safe='')}",
    "path": quote(CANARY),
    "base 64": base64.b64encode(CANARY.encode()).decode(),
    "base 64 for URLs": base64.urlsafe_b64encode(CANARY.encode()).decode(),
    "base 64 of more": base64.b64encode(f"a:{CANARY}!".encode()).decode(),
}


@pytest.mark.parametrize("how", WRITTEN)
def test_a_known_secret_is_hidden_however_it_is_written(
    tmp_path: Path, how: str
) -> None:
    log, file = logged(tmp_path)

    log.info("alarm", said=WRITTEN[how])

    text = file.read_text(encoding="utf-8")
    assert "[redacted]" in text
    assert not any(form in text for form in ("c4nary", "quoted", "värde", "Y0bmFye"))


@given(
    secret=st.text(st.characters(codec="utf-8"), min_size=8, max_size=60),
    before=st.binary(max_size=8),
    after=st.binary(max_size=8),
)
def test_base_64_of_any_text_around_a_secret_shows_none_of_its_middle(
    secret: str, before: bytes, after: bytes
) -> None:
    whole = base64.b64encode(before + secret.encode() + after).decode()

    shown = Redaction([secret]).of_text(whole)

    assert "[redacted]" in shown
    assert base64.b64encode(secret.encode()).decode()[4:-4] not in shown or (
        len(secret.encode()) < 12
    )


@given(st.text(st.characters(codec="utf-8"), min_size=8, max_size=60))
def test_a_secret_is_in_no_line_whatever_its_characters(secret: str) -> None:
    assume(secret not in "<[redacted]>")
    redaction = Redaction([secret])

    for written in (secret, json.dumps(secret), quote(secret, safe="")):
        assert secret not in redaction.of_text(f"<{written}>")
        assert "[redacted]" in redaction.of_text(f"<{written}>")


@pytest.mark.parametrize(
    "name",
    [
        "secret",
        "client_secret",
        "password",
        "passwd",
        "Authorization",
        "api_key",
        "apikey",
        "private_key",
        "cookie",
        "token",
        "access_token",
        "credential",
        "seal",
    ],
)
def test_what_stands_under_the_name_of_a_secret_is_hidden(
    tmp_path: Path, name: str
) -> None:
    log, file = logged(tmp_path, secrets=[])

    log.info("alarm", **{name: "v1"}, deep={"list": [{name: "v2"}]})

    [line] = lines(file)
    assert line[name] == "[redacted]"
    assert line["deep"] == {"list": [{name: "[redacted]"}]}


@pytest.mark.parametrize("name", ["tokens", "key", "key_id", "sealed_n", "pass_no"])
def test_what_only_sounds_like_a_secret_is_shown(tmp_path: Path, name: str) -> None:
    log, file = logged(tmp_path, secrets=[])

    log.info("alarm", **{name: "v1"})

    assert lines(file)[0][name] == "v1"


@pytest.mark.parametrize(
    "said",
    [KEY, f"Bearer {KEY}", "bearer token: Bearer abcdefgh12345", f"x={KEY}&y=1"],
)
def test_what_has_the_form_of_a_key_is_hidden(tmp_path: Path, said: str) -> None:
    log, file = logged(tmp_path, secrets=[])

    log.info("http.request", path=said)

    text = file.read_text(encoding="utf-8")
    assert "[redacted]" in text
    assert "Ab-_Ab-_" not in text
    assert "abcdefgh12345" not in text


def test_a_secret_in_an_error_and_its_trace_is_hidden(tmp_path: Path) -> None:
    log, file = logged(tmp_path)

    try:
        int(CANARY)
    except ValueError:
        log.exception("alarm", alarm="test")

    [line] = lines(file)
    assert "ValueError" in line["exception"]
    assert "c4nary" not in file.read_text(encoding="utf-8")


def test_a_secret_is_hidden_on_the_terminal_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for style in ("console", "json"):
        terminal = io.StringIO()
        monkeypatch.setattr("sys.stderr", terminal)
        log, _ = logged(tmp_path, style=style, terminal_level="info")

        log.info("alarm", said=CANARY, password="hunter2hunter2")

        assert "c4nary" not in terminal.getvalue()
        assert "hunter2" not in terminal.getvalue()
        assert "[redacted]" in terminal.getvalue()


def test_short_values_are_no_secrets_and_hide_nothing() -> None:
    assert Redaction(["a", ""]).of_text("a banana") == "a banana"


# ------------------------------------------------------------------- lines


def test_a_line_is_one_fact_in_json(tmp_path: Path) -> None:
    log, file = logged(tmp_path)

    log.info("run.ended", run_id="run_1", status="completed", took=1.5)
    log.debug("message.handled")

    [line] = lines(file)
    assert list(line)[:3] == ["timestamp", "level", "event"]
    assert (line["event"], line["run_id"], line["took"]) == ("run.ended", "run_1", 1.5)
    assert len(line["timestamp"]) == 24
    assert file.stat().st_mode & 0o777 == 0o600


def test_bound_ids_are_on_every_line(tmp_path: Path) -> None:
    log, file = logged(tmp_path)

    with structlog.contextvars.bound_contextvars(correlation_id="msg_1"):
        log.info("message.published")

    log.info("message.published")

    assert [line.get("correlation_id") for line in lines(file)] == ["msg_1", None]


def test_control_characters_are_shown_and_do_not_act(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr("sys.stderr", terminal)
    log, file = logged(tmp_path, style="console", terminal_level="info")

    log.info("alarm", said="a\x1b[2Jb\rc\x07\x9bd")

    assert lines(file)[0]["said"] == "a\x1b[2Jb\rc\x07\x9bd"
    assert r"a\x1b[2Jb\x0dc\x07\x9bd" in terminal.getvalue()
    for written in (terminal.getvalue(), file.read_text(encoding="utf-8")):
        assert not set("\x1b\r\x07\x9b") & set(written)


def test_a_line_break_begins_no_line_of_its_own(tmp_path: Path) -> None:
    log, file = logged(tmp_path)

    log.info("alarm", said='x\n{"event": "verdict.released"}')

    assert len(lines(file)) == 1


def test_what_libraries_warn_of_goes_through_the_same_sink(tmp_path: Path) -> None:
    _, file = logged(tmp_path)
    library = logging.getLogger("noisy.package")

    library.warning("odd: %s", CANARY)
    library.info("of no interest")
    library.log(35, "between levels")

    first, second = lines(file)
    assert (first["event"], first["alarm"]) == ("alarm", "library")
    assert (first["logger"], first["level"]) == ("noisy.package", "warning")
    assert first["said"] == "odd: [redacted]"
    assert second["said"] == "between levels"


def test_the_terminal_may_be_quieter_than_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr("sys.stderr", terminal)
    log, file = logged(tmp_path, style="json", terminal_level="warning")

    log.info("run.created")
    log.warning("alarm", alarm="x")

    assert [line["event"] for line in lines(file)] == ["run.created", "alarm"]
    shown = [json.loads(line) for line in terminal.getvalue().splitlines()]
    assert [line["event"] for line in shown] == ["alarm"]


def test_lines_are_added_to_those_of_earlier_starts(tmp_path: Path) -> None:
    for n in range(2):
        log, file = logged(tmp_path)
        log.info("process.started", n=n)

    assert [line["n"] for line in lines(file)] == [0, 1]


def test_a_value_json_does_not_know_is_written_as_text(tmp_path: Path) -> None:
    log, file = logged(tmp_path)

    log.info("alarm", path=tmp_path, names={"a"})

    assert lines(file)[0]["path"] == str(tmp_path)


def test_plus_for_a_blank_hides_a_secret_as_well() -> None:
    secret = "four words of secret"

    assert "words" not in Redaction([secret]).of_text(quote_plus(secret))
