"""Principals: what they were bound with counts only where there is something."""

from __future__ import annotations

from contracts import JsonObject, Principal, digest, read

ADA: JsonObject = {
    "id": "key_1",
    "kind": "api_key",
    "subject": "sub_1",
    "permissions": ["runs.start"],
    "tenant": "default",
}
"""As it was written before accounts named their code."""


def test_one_without_a_code_keeps_the_digest_it_was_sealed_with() -> None:
    ada = read(Principal, ADA)

    assert ada.plain() == ADA
    assert digest(ada.plain()) == digest(ADA)
    assert Principal.model_validate_json(ada.model_dump_json()) == ada
    assert "code_id" not in ada.model_dump_json()


def test_an_account_names_the_code_whose_end_ends_it() -> None:
    account = {**ADA, "id": "tg_7", "kind": "telegram", "code_id": "key_2"}
    eve = read(Principal, account)

    assert eve.plain() == account
    assert eve.key_id == "key_2"
    assert read(Principal, ADA).key_id == "key_1"
    assert read(Principal, {**ADA, "kind": "telegram"}).key_id is None
