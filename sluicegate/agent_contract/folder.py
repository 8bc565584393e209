"""The folder and its files, each read into its form; what is wrong names the file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from contracts import ConfigurationError, InvalidInput, JsonObject, read_json
from plans import read_yaml
from sluicegate.agent_contract.forms import Manifest, ToolForm

_Form = TypeVar("_Form", bound=BaseModel)

_HEADING = re.compile(r"^## +(?P<id>\S.*?)\s*$", re.MULTILINE)
_BLOCK = re.compile(r"```json\s*\n(?P<json>.*?)```", re.DOTALL)
_MANIFESTS = ("stage_manifest.json", "stage_manifest.yaml", "stage_manifest.yml")


class Folder:
    """Reads an agent's folder. Everything raises ConfigurationError."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def manifest(self) -> Manifest:
        """The manifest, whichever of its names it has."""
        for name in _MANIFESTS:
            if (self._path / name).is_file():
                return _as(Manifest, self._path / name)

        raise ConfigurationError(
            f"{self._path}: there is no stage_manifest.json or .yaml"
        )

    def schemas(self) -> dict[str, JsonObject]:
        """The output schema of each stage that has one in the runtime contract."""
        path = self._path / "stage_runtime_contract.md"
        if not path.is_file():
            return {}

        text = _text(path)
        headings = list(_HEADING.finditer(text))
        ends = [*(one.start() for one in headings[1:]), len(text)]
        found: dict[str, JsonObject] = {}
        for heading, end in zip(headings, ends, strict=False):
            block = _BLOCK.search(text, heading.end(), end)
            if block is not None:
                found[heading["id"]] = _object(path, block["json"].encode())

        return found

    def tools(self) -> Iterator[tuple[str, ToolForm]]:
        """The files of ``tools/``, by their name without end."""
        for path in sorted((self._path / "tools").glob("*.json")):
            yield path.stem, _as(ToolForm, path)

    def knowledge(self) -> Iterator[tuple[str, JsonObject]]:
        """The files of ``KnowledgeBase/``, by their name without end."""
        base = self._path / "KnowledgeBase"
        for path in sorted((*base.glob("*.yaml"), *base.glob("*.yml"))):
            yield path.stem, _object(path, _bytes(path))

    def text(self, name: str) -> str:
        """What stands in a file of the folder, which no path leads out of."""
        path = (self._path / name).resolve()
        if not path.is_relative_to(self._path.resolve()) or not path.is_file():
            raise ConfigurationError(f"{self._path}: there is no file {name!r} in it")

        return _text(path)


def _as(form: type[_Form], path: Path) -> _Form:
    try:
        return form.model_validate(_object(path, _bytes(path)))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigurationError(f"{path}: {where}: {first['msg']}") from error


def _object(path: Path, data: bytes) -> JsonObject:
    """YAML by the file's end, else JSON."""
    try:
        is_yaml = path.suffix in (".yaml", ".yml")
        found = read_yaml(data) if is_yaml else read_json(data)
    except InvalidInput as error:
        raise ConfigurationError(f"{path}: {error.message}") from error

    if not isinstance(found, dict):
        raise ConfigurationError(f"{path}: it holds no object")

    return found


def _text(path: Path) -> str:
    try:
        return _bytes(path).decode()
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: it is no UTF-8 text") from error


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
