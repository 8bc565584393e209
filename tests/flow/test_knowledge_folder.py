"""A folder of knowledge, followed while the service runs: good files and bad ones."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import pytest

from tests.flow.test_decision_flow import ALLOW
from tests.support.polling import until
from tests.support.serving import Given, serving


@pytest.mark.timeout(60)
async def test_a_folder_of_knowledge_is_followed_without_a_restart(
    given: Given, tmp_path: Path
) -> None:
    folder = tmp_path / "knowledge"
    await anyio.Path(folder / "deep").mkdir(parents=True)
    file = anyio.Path(folder / "prices.yaml")
    await file.write_text("lamp: {price: 7}\n")
    await anyio.Path(folder / "deep" / "bad.yaml").write_text("a: &x 1\n")
    async with serving(given(knowledge={"dir": str(folder)})) as served:

        async def says(price: int | None) -> bool:
            found = await served.api.call("GET", "/knowledge/prices")
            body = found.body.get("definition") or {}
            return (body.get("content") == {"lamp": {"price": price}}) == bool(price)

        assert await until(lambda: says(7), within_s=10)
        await file.write_text("lamp: {price: 8}\n")
        assert await until(lambda: says(8), within_s=10)
        saved = [one async for one in served.api.pages("/decisions?limit=200")]
        await file.unlink()

        async def is_gone() -> bool:
            return (await served.api.call("GET", "/knowledge/prices")).status == 404

        assert await until(is_gone, within_s=10)

    actions = [one["action"] for one in saved if one["principal"] == "knowledge.dir"]
    assert actions == ["knowledge.save", "knowledge.save"]


@pytest.mark.timeout(90)
async def test_a_bad_file_keeps_no_good_one_from_being_seen(
    given: Given, tmp_path: Path
) -> None:
    folder = anyio.Path(tmp_path / "knowledge")
    await folder.mkdir()
    await (folder / "aaa.yaml").write_text(f"a: {'x' * 300_000}\n")
    await (folder / "abc?.yaml").write_text("a: 1\n")
    await anyio.Path(os.fsdecode(bytes(folder) + b"/\xff.yaml")).write_text("a: 1\n")
    await (folder / "prices.yaml").write_text("lamp: 7\n")
    async with serving(given(knowledge={"dir": str(folder)})) as served:

        async def is_there(name: str) -> bool:
            return (await served.api.call("GET", f"/knowledge/{name}")).status == 200

        async def later_is_there() -> bool:
            return await is_there("later")

        async def prices_are_there() -> bool:
            return await is_there("prices")

        assert await until(prices_are_there, within_s=15)
        await folder.rename(tmp_path / "away")
        await anyio.sleep(5)
        assert await is_there("prices"), "a folder that is away took nothing with it"

        await anyio.Path(tmp_path / "away").rename(folder)
        await (folder / "later.yaml").write_text("lamp: 8\n")
        assert await until(later_is_there, within_s=15)


@pytest.mark.timeout(90)
async def test_a_change_that_was_refused_once_is_proposed_again(
    given: Given, tmp_path: Path
) -> None:
    folder = anyio.Path(tmp_path / "knowledge")
    await folder.mkdir()
    async with serving(given(knowledge={"dir": str(folder)})) as served:

        async def states() -> list[str]:
            found = [one async for one in served.api.pages("/decisions?limit=200")]
            mine = [one for one in found if one["action"] == "knowledge.save"]
            return [one["state"] for one in mine]

        async def is_refused() -> bool:
            return await states() == ["refused"]

        async def is_saved() -> bool:
            return (await states())[:1] == ["done"]

        frozen = {"scope": "tenant", "reason": "Stock-taking."}
        await served.api.call("PUT", "/freeze", frozen)
        await (folder / "prices.yaml").write_text("lamp: 7\n")
        assert await until(is_refused, within_s=10)
        await served.api.call("DELETE", "/freeze?scope=tenant")
        assert await until(is_saved, within_s=30)


@pytest.mark.timeout(90)
@pytest.mark.parametrize(
    ("again", "version", "ending"),
    [("lamp: 8\n", 2, "failed"), ("lamp: 7\n", 1, "done")],
)
async def test_a_file_that_is_back_is_not_lost_to_a_late_deletion(
    given: Given, tmp_path: Path, again: str, version: int, ending: str
) -> None:
    folder = anyio.Path(tmp_path / "knowledge")
    await folder.mkdir()
    file = folder / "prices.yaml"
    await file.write_text("lamp: 7\n")
    asking = {
        "id": "ask-delete",
        "when": "decision.action == 'knowledge.delete'",
        "then": "ask",
        "ask": {"approvers": ["role:approver"]},
    }
    gate = {"rules": (asking, ALLOW)}
    async with serving(given(knowledge={"dir": str(folder)}, gate=gate)) as served:
        api = served.api

        async def version_is() -> int:
            found = await api.call("GET", "/knowledge/prices")
            return int(found.body["version"]) if found.status == 200 else 0

        async def is_saved() -> bool:
            return await version_is() > 0

        async def is_asked() -> bool:
            return bool((await api.get("/approvals?state=waiting"))["items"])

        async def is_back() -> bool:
            return await version_is() >= version

        async def is_ended() -> bool:
            found = (await api.get("/decisions?action=knowledge.delete"))["items"]
            return [one["state"] for one in found] == [ending]

        assert await until(is_saved, within_s=10)
        await file.unlink()
        assert await until(is_asked, within_s=10)
        await file.write_text(again)
        assert await until(is_back, within_s=10)
        [asked] = (await api.get("/approvals?state=waiting"))["items"]
        grace = await served.key("grace", "approver")
        await grace.call("POST", f"/approvals/{asked['id']}/grant", {})

        assert await until(is_ended, within_s=10)
        assert await until(is_back, within_s=20)
