"""The configuration: ``config.toml``, overridden by ``SLUICEGATE_SECTION__KEY``.

Secrets come from the environment or from ``*_file`` only.
An unknown key is refused with the nearest known name.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from contracts import (
    ConfigurationError,
    InvalidInput,
    JsonObject,
    Mode,
    Policy,
    read,
)
from sluicegate.variables import (
    PREFIX,
    refuse_unknown_variables,
    sentences,
    variable,
)

Seconds = Annotated[float, Field(gt=0, le=86_400)]


S = TypeVar("S", bound=BaseModel)

_SECRETS = (
    "keys.seal",
    "keys.bus",
    "keys.bootstrap_admin",
    "llm.api_key",
    "telegram.token",
    "telegram.secret",
)
"""Keys that no file of the configuration may hold."""


class Section(BaseModel):
    """A table of the file: closed."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True
    )


class Server(Section):
    """Where the HTTP gateway listens."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    """0 takes a free port."""

    public_url: str = ""
    trusted_proxy: bool = False
    """A proxy in front ends TLS; needed to listen beyond loopback."""

    debug_endpoints: bool = False
    health_port: Annotated[int, Field(ge=0, le=65_535)] = 0
    """Where a process that is no gateway tells how it is; 0 takes a free port."""

    drain_s: Annotated[float, Field(ge=0, le=60)] = 0.0
    """A gateway told to stop says so that long before it stops listening."""


class BusSection(Section):
    """Which bus carries the messages."""

    url: str = "memory://"
    namespace: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")] = (
        "sluicegate"
    )
    """What every name in a shared bus begins with; one for each installation."""

    @property
    def is_shared(self) -> bool:
        """Whether other processes are on it."""
        return self.url.startswith(("redis://", "rediss://", "unix://"))


class StoreSection(Section):
    """Which store remembers."""

    url: str = "sqlite:///{data_dir}/sluicegate.db"
    synchronous: Literal["FULL", "NORMAL"] = "FULL"

    @property
    def is_shared(self) -> bool:
        """Whether other processes use it."""
        return self.url.startswith(("mongodb://", "mongodb+srv://"))


class Gate(Section):
    """The policy, and how long the gate may take."""

    mode: Mode = "enforce"
    default: Literal["deny", "allow", "ask"] = "deny"
    policy_file: str = ""
    deadline_s: Annotated[float, Field(gt=0, le=60)] = 5.0
    verdict_ttl_s: Annotated[float, Field(gt=0, le=300)] = 300.0
    clock_skew_s: Annotated[float, Field(gt=0, le=300)] = 30.0
    """How far the clocks of processes may differ."""

    rules: tuple[JsonObject, ...] = ()


class Keys(Section):
    """Key material; from the environment or files only."""

    seal: SecretStr | None = None
    seal_file: str = ""
    bus: SecretStr | None = None
    bus_file: str = ""
    bootstrap_admin: SecretStr | None = None

    def secret_of(self, name: Literal["seal", "bus", "bootstrap_admin"]) -> str:
        """The secret of this name; empty if it is not given."""
        given: SecretStr | None = getattr(self, name)
        return given.get_secret_value() if given else ""


class ModelPrice(Section):
    """What a million tokens of a model cost."""

    input_per_million: Annotated[float, Field(ge=0)] = 0.0
    output_per_million: Annotated[float, Field(ge=0)] = 0.0


class Llm(Section):
    """Which model is asked."""

    provider: Literal["", "openai_responses", "scripted"] = ""
    """Empty: none, and whoever needs one hears ``model_not_configured``."""

    base_url: str = ""
    model: str = ""
    api_key: SecretStr | None = None
    api_key_file: str = ""
    script: str = ""
    timeout_s: Seconds = 120.0
    idle_s: Seconds = 60.0
    prices: dict[str, ModelPrice] = Field(default_factory=dict)


class ConversationSection(Section):
    """How conversations are held."""

    instructions: str = ""
    """What the model is told first; empty: words of our own."""

    max_parallel: Annotated[int, Field(ge=1, le=100_000)] = 256
    run_wait_s: Seconds = 30.0
    max_output_tokens: Annotated[int, Field(ge=1, le=200_000)] = 2_000
    turn_model_calls: Annotated[int, Field(ge=1, le=100)] = 8
    turn_tokens: Annotated[int, Field(ge=1)] = 60_000
    turn_cost: Annotated[float, Field(gt=0, le=1_000_000)] = 1.0
    turn_seconds: Annotated[int, Field(ge=1, le=3_600)] = 120


class KnowledgeSection(Section):
    """Where knowledge comes from besides the API."""

    dir: str = ""
    """A folder of YAML files; empty: none."""


class Telegram(Section):
    """The bot, and who may talk to it."""

    mode: Literal["off", "webhook", "polling"] = "off"
    base_url: str = "https://api.telegram.org"
    token: SecretStr | None = None
    token_file: str = ""
    secret: SecretStr | None = None
    """What Telegram shows at the webhook."""

    secret_file: str = ""
    allow: tuple[str, ...] = ()
    """Accounts that need no code: ``ID`` or ``ID:role,role``."""

    hear_edits: bool = False
    """Whether a message that was edited is heard as a new one."""


class Runs(Section):
    """How runs are driven."""

    max_parallel: Annotated[int, Field(ge=1, le=10_000)] = 64
    node_parallel: Annotated[int, Field(ge=1, le=1_000)] = 8
    lease_s: Seconds = 15.0
    sweep_s: Seconds = 5.0


class HttpTools(Section):
    """Where tools may call."""

    allow_private: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()


class Tools(Section):
    """What tools may do."""

    http: HttpTools = HttpTools()


class Credential(Section):
    """A secret for tools, used only for its hosts and owner."""

    env: str = ""
    file: str = ""
    hosts: Annotated[tuple[str, ...], Field(min_length=1)]
    header: str = "Authorization"
    owner: str = ""


class Logging(Section):
    """Where log lines go and how they look."""

    format: Literal["auto", "json", "console"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"
    file: str = "{data_dir}/logs/sluicegate.jsonl"


class Settings(BaseSettings):
    """Every key of the configuration with its default."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix=PREFIX,
        env_nested_delimiter="__",
    )

    data_dir: Path = Path("var")
    server: Server = Server()
    bus: BusSection = BusSection()
    store: StoreSection = StoreSection()
    gate: Gate = Gate()
    budgets: tuple[JsonObject, ...] = ()
    keys: Keys = Keys()
    llm: Llm = Llm()
    conversation: ConversationSection = ConversationSection()
    knowledge: KnowledgeSection = KnowledgeSection()
    telegram: Telegram = Telegram()
    runs: Runs = Runs()
    tools: Tools = Tools()
    credentials: dict[str, Credential] = Field(default_factory=dict)
    logging: Logging = Logging()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file, which is given as init values."""
        return env_settings, init_settings

    @property
    def store_url(self) -> str:
        """``store.url`` with ``{data_dir}`` filled in."""
        return self.store.url.replace("{data_dir}", str(self.data_dir))

    @property
    def log_file(self) -> Path | None:
        """``logging.file`` with ``{data_dir}`` filled in; None if it is empty."""
        text = self.logging.file.replace("{data_dir}", str(self.data_dir))
        return Path(text) if text else None


def load_settings(path: Path) -> Settings:
    """The settings of a file and of the environment.

    Raises ConfigurationError naming every problem and where it stands.
    """
    table = _read_toml(path)
    _refuse_private_names(table, path)
    _refuse_secrets_in(table, path)
    refuse_unknown_variables(Settings)
    try:
        settings = Settings(**table)
    except ValidationError as error:
        raise ConfigurationError(sentences(error, Settings, path)) from error
    except SettingsError as error:
        raise ConfigurationError(f"environment: {error}; JSON is due there") from error

    return _anchored(settings, home_of(path))


def home_of(path: Path) -> Path:
    """Where the relative paths of a configuration file begin.

    The file's own folder; the working directory for the file inside the package.
    """
    folder = path.resolve().parent
    return Path.cwd() if folder == Path(__file__).resolve().parent else folder


def load_policy(settings: Settings) -> Policy:
    """The policy of the settings, or of ``gate.policy_file``.

    Raises ConfigurationError with every problem.
    """
    gate = settings.gate
    shape = gate.model_dump(include={"mode", "default", "rules"})
    budgets: Any = settings.budgets
    if gate.policy_file:
        table = _read_toml(Path(gate.policy_file))
        shape |= {"rules": (), **_table(table, "gate", gate.policy_file)}
        budgets = table.get("budgets", ())

    where = gate.policy_file or "gate"
    try:
        return read(Policy, {**shape, "budgets": list(budgets)})
    except InvalidInput as error:
        raise ConfigurationError(
            f"{where}: the policy is not valid: {error.message}", details=error.details
        ) from error


def _anchored(settings: Settings, home: Path) -> Settings:
    """The settings with every relative path below the file's folder."""
    credentials = {
        name: _below(home, section, "file")
        for name, section in settings.credentials.items()
    }
    return settings.model_copy(
        update={
            "data_dir": home / settings.data_dir,
            "store": _below(home, settings.store, "url"),
            "gate": _below(home, settings.gate, "policy_file"),
            "keys": _below(home, _below(home, settings.keys, "seal_file"), "bus_file"),
            "llm": _below(home, _below(home, settings.llm, "script"), "api_key_file"),
            "knowledge": _below(home, settings.knowledge, "dir"),
            "telegram": _below(
                home, _below(home, settings.telegram, "token_file"), "secret_file"
            ),
            "logging": _below(home, settings.logging, "file"),
            "credentials": credentials,
        }
    )


def _below(home: Path, section: S, key: str) -> S:
    """The section with the path, or URL of a file, under a key made absolute."""
    scheme, mark, path = getattr(section, key).rpartition("sqlite:///")
    if not path or path.startswith("{data_dir}") or scheme or "://" in path:
        return section

    return section.model_copy(update={key: f"{mark}{home / path}"})


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigurationError(f"{path}: there is no such file") from error
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: {error}") from error


def _refuse_private_names(table: dict[str, Any], path: Path) -> None:
    """Refuse what the settings' class would take for a word of its own."""
    for name in table:
        if name.startswith("_"):
            raise ConfigurationError(f"{path}: {name}: there is no such key")


def _refuse_secrets_in(table: dict[str, Any], path: Path) -> None:
    for key in _SECRETS:
        section, _, name = key.partition(".")
        if name in _table(table, section, str(path)):
            raise ConfigurationError(
                f"{path}: {key} is a secret; set {variable(key)} instead"
            )


def _table(table: dict[str, Any], name: str, where: str) -> dict[str, Any]:
    found = table.get(name, {})
    if not isinstance(found, dict):
        raise ConfigurationError(f"{where}: {name}: a table is due here")

    return found
