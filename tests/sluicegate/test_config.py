"""The configuration: every key by file or variable, and every mistake named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from contracts import ConfigurationError
from sluicegate.config import Settings, load_policy, load_settings
from sluicegate.variables import keys_of, variable
from tests.support.checkout import ROOT

SECRET = "s3cr3t-that-nobody-may-see-anywhere"


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of ours comes from outside."""
    for name in list(os.environ):
        if name.startswith("SLUICEGATE_"):
            monkeypatch.delenv(name)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A configuration file that is empty."""
    file = tmp_path / "config.toml"
    file.write_text("")
    return file


def refusal(path: Path, text: str = "") -> str:
    """What is said of a configuration that is refused."""
    if text:
        path.write_text(text)

    with pytest.raises(ConfigurationError) as refused:
        load_settings(path)

    return refused.value.message


# ------------------------------------------------------------------- the file


def test_the_shipped_file_says_every_default_as_it_is(path: Path) -> None:
    shipped = load_settings(ROOT / "config.toml").model_dump()
    defaults = load_settings(path).model_dump()

    for name in (
        "server",
        "bus",
        "keys",
        "llm",
        "conversation",
        "runs",
        "tools",
        "credentials",
    ):
        assert shipped[name] == defaults[name], name

    own = {"rules", "policy_file"}
    assert {k: v for k, v in shipped["gate"].items() if k not in own} == {
        k: v for k, v in defaults["gate"].items() if k not in own
    }


def test_the_shipped_file_tells_every_key_there_is() -> None:
    text = (ROOT / "config.toml").read_text(encoding="utf-8")
    secret = {"keys.seal", "keys.bootstrap_admin", "llm.api_key"}

    silent = [
        key
        for key in keys_of(Settings)
        if key not in secret and key.rpartition(".")[2] not in text
    ]

    assert silent == []
    assert "SLUICEGATE_KEYS__SEAL" in text
    assert "SLUICEGATE_KEYS__BOOTSTRAP_ADMIN" in text


@pytest.mark.parametrize(
    ("text", "key", "near"),
    [
        ("[server]\nprot = 1", "server.prot", "server.port"),
        ("[sever]\nport = 1", "sever", "server"),
        ("[tools.http]\nport = [1]", "tools.http.port", "tools.http.ports"),
        ("data_dri = 'x'", "data_dri", "data_dir"),
        ("[gate]\nmoed = 'warn'", "gate.moed", "gate.mode"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known(
    path: Path, text: str, key: str, near: str
) -> None:
    said = refusal(path, text)

    assert said == f"{path}: {key}: there is no such key. Did you mean {near}?"


def test_every_mistake_is_told_at_once(path: Path) -> None:
    said = refusal(path, "[server]\nport = 70000\n[runs]\nlease_s = 0")

    assert f"{path}: server.port:" in said
    assert f"{path}: runs.lease_s:" in said


def test_a_key_that_the_class_of_settings_knows_is_no_key(path: Path) -> None:
    assert "_env_file" in refusal(path, "_env_file = '/etc/passwd'")


@pytest.mark.parametrize("text", ["[server", "a = ", "keys = 1"])
def test_a_file_that_cannot_be_read_is_named(path: Path, text: str) -> None:
    assert refusal(path, text).startswith(f"{path}: ")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "none.toml"

    assert refusal(missing) == f"{missing}: there is no such file"


@pytest.mark.parametrize("key", ["seal", "bootstrap_admin"])
def test_a_secret_in_the_file_is_refused_and_not_shown(path: Path, key: str) -> None:
    said = refusal(path, f"[keys]\n{key} = '{SECRET}'")

    assert f"SLUICEGATE_KEYS__{key.upper()}" in said
    assert SECRET not in said


# ------------------------------------------------------------------- variables


def test_a_variable_wins_over_the_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text("[server]\nport = 1\nhost = 'localhost'")
    monkeypatch.setenv("SLUICEGATE_SERVER__PORT", "2")

    server = load_settings(path).server

    assert (server.port, server.host) == (2, "localhost")


def test_a_list_in_a_variable_is_json(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "SLUICEGATE_TOOLS__HTTP__ALLOW_PRIVATE"
    monkeypatch.setenv(name, '["127.0.0.1"]')
    assert load_settings(path).tools.http.allow_private == ("127.0.0.1",)

    monkeypatch.setenv(name, "127.0.0.1")
    assert "JSON" in refusal(path)


def test_a_bad_value_in_a_variable_is_told_by_the_variable(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICEGATE_SERVER__PORT", "many")

    assert refusal(path).startswith("SLUICEGATE_SERVER__PORT: input should be")


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("SLUICEGATE_SERVER__PROT", "SLUICEGATE_SERVER__PORT"),
        ("SLUICEGATE_TOOLS__HTTP__PORT", "SLUICEGATE_TOOLS__HTTP__PORTS"),
        ("SLUICEGATE_DATADIR", "SLUICEGATE_DATA_DIR"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_nearest_known(
    path: Path, monkeypatch: pytest.MonkeyPatch, name: str, near: str
) -> None:
    monkeypatch.setenv(name, "1")

    assert refusal(path) == f"{name}: there is no such setting. Did you mean {near}?"


@pytest.mark.parametrize(
    "name", ["SLUICEGATE_URL", "SLUICEGATE_KEY", "SLUICEGATE_CONFIG", "OTHER_KEY"]
)
def test_variables_that_are_no_settings_are_left_alone(
    path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "x")

    load_settings(path)


def test_a_secret_in_a_variable_is_shown_by_no_settings(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICEGATE_KEYS__SEAL", SECRET)

    settings = load_settings(path)

    assert settings.keys.seal is not None
    assert settings.keys.seal.get_secret_value() == SECRET
    assert SECRET not in repr(settings) + str(settings.model_dump())


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("data_dir", "SLUICEGATE_DATA_DIR"),
        ("server.port", "SLUICEGATE_SERVER__PORT"),
        ("tools.http.ports", "SLUICEGATE_TOOLS__HTTP__PORTS"),
    ],
)
def test_a_variable_is_the_key_in_capitals(key: str, name: str) -> None:
    assert variable(key) == name
    assert key in set(keys_of(Settings))


# ------------------------------------------------------------------- paths


def test_relative_paths_begin_at_the_folder_of_the_file(path: Path) -> None:
    path.write_text(
        "data_dir = 'data'\n"
        "[store]\nurl = 'sqlite:///own.db'\n"
        "[keys]\nseal_file = 'seal.key'\n"
        "[logging]\nfile = 'own.jsonl'\n"
        "[credentials.api]\nfile = 'api.key'\nhosts = ['api.example.com']\n"
    )

    settings, home = load_settings(path), path.parent

    assert settings.data_dir == home / "data"
    assert settings.store_url == f"sqlite:///{home / 'own.db'}"
    assert settings.keys.seal_file == str(home / "seal.key")
    assert settings.log_file == home / "own.jsonl"
    assert settings.credentials["api"].file == str(home / "api.key")


def test_absolute_paths_and_the_data_folder_stay_as_they_are(path: Path) -> None:
    path.write_text(
        "data_dir = '/srv/data'\n[store]\nurl = 'sqlite:////srv/own.db'\n"
        "[logging]\nfile = '{data_dir}/own.jsonl'\n"
    )

    settings = load_settings(path)

    assert settings.data_dir == Path("/srv/data")
    assert settings.store_url == "sqlite:////srv/own.db"
    assert settings.log_file == Path("/srv/data/own.jsonl")


def test_an_empty_log_file_is_none(path: Path) -> None:
    path.write_text("[logging]\nfile = ''\n[store]\nurl = 'sqlite://:memory:'")

    settings = load_settings(path)

    assert settings.log_file is None
    assert settings.store_url == "sqlite://:memory:"


# ------------------------------------------------------------------- the policy

RULE = '[[gate.rules]]\nid = "all"\nwhen = "true"\nthen = "allow"\n'


def test_the_policy_stands_in_the_file_or_in_one_of_its_own(path: Path) -> None:
    own = path.parent / "policy.toml"
    own.write_text(
        f"{RULE}[[budgets]]\nscope = 'tenant'\nmeter = 'runs'\n"
        "window = 'day'\nlimit = 3\n"
    )
    path.write_text(
        "[gate]\nmode = 'warn'\npolicy_file = 'policy.toml'\n"
        '[[gate.rules]]\nid = "none"\nwhen = "false"\nthen = "deny"\n'
    )

    policy = load_policy(load_settings(path))

    assert [rule.id for rule in policy.rules] == ["all"]
    assert (policy.mode, policy.budgets[0].limit) == ("warn", 3)


def test_a_policy_file_without_rules_has_none(path: Path) -> None:
    (path.parent / "policy.toml").write_text("[gate]\nmode = 'audit'\n")
    path.write_text(f"[gate]\npolicy_file = 'policy.toml'\n{RULE}")

    policy = load_policy(load_settings(path))

    assert (policy.rules, policy.mode) == ((), "audit")


def test_a_policy_file_that_is_not_there_is_no_empty_policy(path: Path) -> None:
    path.write_text("[gate]\npolicy_file = 'none.toml'")

    with pytest.raises(ConfigurationError) as refused:
        load_policy(load_settings(path))

    assert str(path.parent / "none.toml") in refused.value.message


def test_a_policy_that_is_not_valid_names_the_place(path: Path) -> None:
    path.write_text(RULE.replace("allow", "perhaps"))

    with pytest.raises(ConfigurationError) as refused:
        load_policy(load_settings(path))

    assert refused.value.message.startswith("gate: the policy is not valid: /rules/0")
    [problem] = refused.value.details["problems"]
    assert problem["pointer"] == "/rules/0/then"
