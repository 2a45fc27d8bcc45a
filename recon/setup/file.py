"""The configuration file: every key it may have, what each may be, and one sentence on the first thing that is wrong.

:mod:`recon.setup.settings` turns what is read here into :class:`~recon.setup.settings.Settings`.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, SecretStr, ValidationError, create_model
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from recon.core.errors import ConfigError, UsageError
from recon.core.ids import normalise_address
from recon.core.registry.explorers import ADDRESS, HASH, is_page
from recon.investigation.incident.styles import StyleName
from recon.setup.alert_sections import CHANNEL_SECRETS, PAGE_SECRETS, AlertsSection, PageSection, TracesSection
from recon.setup.ledger_section import LedgerSection
from recon.setup.rail_sections import BackfillSection, FlagsSection, GatesSection
from recon.setup.repair_sections import HoldSection, RepairSection
from recon.setup.watch_section import WatchSection
from recon.sources.deliveries.forms import FIELDS
from recon.sources.payments.sql.section import SqlSection
from recon.sources.providers.installed import providers
from recon.sources.providers.sections import Seconds, Section, Whole, refuse_bool

CONFIG_NAME = "recon.toml"
FILE_MAX_BYTES = 1_000_000
URI_VARIABLE = "RECON_MONGO_URI"
SQL_URL_VARIABLE = "RECON_SQL_URL"


class ConfigFileError(ConfigError):
    """The configuration file cannot be read as TOML."""

    def __init__(self, *, path: str, why: str) -> None:
        super().__init__(f'{path}: {why}. "recon init" writes a commented file to start from.')


class UnknownSettingError(ConfigError):
    """A key that no setting has; the nearest known one is named."""

    def __init__(self, *, path: str, key: str, nearest: str | None) -> None:
        hint = f'; did you mean "{nearest}"?' if nearest else '. "recon init" shows every known one.'
        super().__init__(f'{path}: "{key}" is no known setting{hint}')


class WrongSettingError(ConfigError):
    """A setting has a value it cannot have."""

    def __init__(self, *, path: str, key: str, why: str) -> None:
        super().__init__(f'{path}: "{key}" cannot be used: {why}. Correct it and run the command again.')


class SecretInFileError(ConfigError):
    """A secret stands in the configuration file, where it may not be."""

    def __init__(self, *, path: str, key: str, variable: str) -> None:
        super().__init__(
            f'{path}: "{key}" is a secret and must not stand in the file; take it out and set {variable} '
            'in the environment, or in the dotenv file that "secrets_file" names.'
        )


class MissingSecretError(ConfigError):
    """A secret that a command needs is set nowhere."""

    def __init__(self, *, variable: str, purpose: str) -> None:
        super().__init__(
            f"{variable} is not set, and {purpose} needs it; set it in the environment or in the dotenv file "
            'that "secrets_file" names.'
        )


class WindowError(UsageError):
    """The window of a selection ends before it begins."""

    def __init__(self, *, from_at: datetime, to_at: datetime) -> None:
        super().__init__(
            f"The window runs backwards: it begins at {from_at:%Y-%m-%dT%H:%M:%SZ} and ends at "
            f"{to_at:%Y-%m-%dT%H:%M:%SZ}; nothing was read. Swap --from and --to."
        )


def _address(value: str) -> str:
    if (address := normalise_address(value)) is None:
        raise ValueError(f"{value[:60]!r} is no address (0x and 40 hex digits)")
    return str(address)


def _amount(value: object) -> object:
    if isinstance(value, float):
        raise ValueError('write the amount as text, for example "12.50", so that no digit is lost')
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Percent = Annotated[int, BeforeValidator(refuse_bool), Field(ge=0, le=100)]
AddressText = Annotated[str, AfterValidator(_address)]
AmountText = Annotated[str, BeforeValidator(_amount), Field(pattern=r"^[0-9]{1,38}(\.[0-9]{1,38})?$")]


class TargetSection(Section):
    """``[target]``: the name that plans carry, which tells a clone of the database from the original."""

    name: str = Field(default="", max_length=100)


class MongoSection(Section):
    """``[mongo]``: where the payment documents are; the address itself is a secret."""

    database: str = Field(default="marketplace", min_length=1, max_length=63)
    collection: str = Field(default="payments", min_length=1, max_length=120)
    uri_variable: str = URI_VARIABLE
    write_uri_variable: str = "RECON_MONGO_WRITE_URI"
    timeout_s: Seconds = 10.0


class WindowSection(Section):
    """``[window]``: which payments are read when the command line does not say; 0 hours means all."""

    hours: Whole = 24
    date: Literal["created", "updated"] = "created"


class ChainSection(Section):
    """``[[chains]]``: one chain. Endpoints are asked in order; ``${NAME}`` in one stands for a secret."""

    chain_id: Annotated[int, BeforeValidator(refuse_bool), Field(gt=0)]
    endpoints: tuple[SecretStr, ...] = Field(default=(), max_length=20)
    confirmations_min: Whole | None = None
    name: str | None = Field(default=None, max_length=60)
    aliases: tuple[str, ...] = ()
    final_depth: Whole | None = None
    trusts_finalized_tag: bool | None = None
    block_ms: Annotated[int, Field(gt=0)] | None = None
    range_blocks: Annotated[int, Field(gt=0)] | None = None
    calls_per_s: float = Field(default=20.0, gt=0, le=10_000)
    timeout_s: Seconds = 30.0


class MerchantSection(Section):
    """``[merchant]``: the addresses that are ours; money to them that no row knows is ``missing_local``.

    ``fee_recipients`` are where a payment's fee may go; a fee to any other address is a ``fee_mismatch``. Money that
    leaves ``payout_wallets``, or a wallet that a proven payout came from, and that no row explains is an
    ``unexplained_outflow``.
    """

    recipients: tuple[AddressText, ...] = ()
    fee_recipients: tuple[AddressText, ...] = ()
    payout_wallets: tuple[AddressText, ...] = ()


class TokenSection(Section):
    """``[[tokens]]``: a token contract the registry does not know, or knows otherwise.

    ``aliases`` are other words for it that rows or providers use, such as ``USDC-matic``.
    """

    chain_id: Whole
    address: AddressText
    symbol: str = Field(min_length=1, max_length=20)
    decimals: Annotated[int, BeforeValidator(refuse_bool), Field(ge=0, le=77)]
    aliases: tuple[Annotated[str, Field(min_length=1, max_length=60)], ...] = ()
    may_take_fee: bool = True


class EmitterSection(Section):
    """``[[emitters]]``: a contract whose logs carry payment references; a ``terminal`` logs ``Pay`` without one."""

    chain_id: Whole
    address: AddressText
    kind: Literal["fee_proxy", "conversion_proxy", "escrow", "receivable", "terminal"] = "fee_proxy"
    version: str = "0.2.0"
    created_block: Whole = 0


class FailuresSection(Section):
    """``[failures]``: when ``recon doctor`` says that payments fail more than they used to; off without a field.

    ``field`` is where the backend keeps why a payment failed.
    """

    field: Annotated[str, Field(pattern=r"^[^\s$]*$", max_length=200)] = ""
    window_min: Annotated[int, BeforeValidator(refuse_bool), Field(ge=1, le=10_080)] = 60
    share_max_percent: Percent = 10


class ReserveSection(Section):
    """``[[reserves]]``: a wallet that pays for what is sent on a chain, and how low it may get.

    ``recon doctor`` warns below one line of the chain's own coin, or of a token, and fails below the other.
    """

    chain_id: Annotated[int, BeforeValidator(refuse_bool), Field(gt=0)]
    address: AddressText
    token: str | None = Field(default=None, min_length=1, max_length=20)
    warn_below: AmountText
    critical_below: AmountText


class ExplainedSection(Section):
    """``[[balances.explained]]``: movements of known wallets that no payment stands behind, and the reason why not.

    ``address`` is the other side. What is left out (chain, token by symbol, wallet, direction) means every one.
    """

    address: AddressText
    reason: str = Field(min_length=1, max_length=200)
    chain_id: Annotated[int, BeforeValidator(refuse_bool), Field(gt=0)] | None = None
    token: str | None = Field(default=None, min_length=1, max_length=20)
    wallet: AddressText | None = None
    direction: Literal["in", "out"] | None = None


class BalancesSection(Section):
    """``[balances]``: the proof that what known wallets held, and every movement, make what they hold now.

    Known wallets are ``merchant.recipients`` and ``merchant.payout_wallets``.
    """

    enabled: bool = True
    explained: tuple[ExplainedSection, ...] = Field(default=(), max_length=200)


class PolicySection(Section):
    """``[policy]``: what a judgement depends on besides the evidence."""

    confirmations_min_default: Whole = 12
    confirmed_means_completed: bool = True
    stuck_after_min: Whole = 30
    urgent_after_h: Whole = 24
    abandoned_after_days: Whole = 30
    clock_skew_s: Whole = 300
    provider_proves: tuple[str, ...] = ()
    tolerance_ppm: dict[str, tuple[Whole, Whole]] = Field(default_factory=dict)
    side_effects: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    dust: dict[str, AmountText] = Field(default_factory=dict)


class LimitsSection(Section):
    """``[limits]``: where an apply stops; amounts are whole tokens by symbol."""

    changes_max: Whole = 500
    share_max_percent: Percent = 30
    share_max_from_rows: Whole = 10
    refusals_max: Whole = 3
    refusals_max_percent: Percent = 2
    plan_age_max_h: Whole = 4
    clock_off_max_s: Annotated[int, BeforeValidator(refuse_bool), Field(ge=1, le=3600)] = 30
    value_max: dict[str, AmountText] = Field(default_factory=dict)
    value_max_per_payment: dict[str, AmountText] = Field(default_factory=dict)


class HealthSection(Section):
    """``[health]``: when a summary counts as healthy."""

    unproven_share_max_percent: Percent = 5


class ApprovalsSection(Section):
    """``[approvals]``: how many people must have approved a plan before it is applied, and how they are known.

    With ``allowed_signers`` (git's format) a decision counts only if it is signed with an SSH key which that file gives
    to a principal, and which ``revoked_signers`` does not take back. ``flags_min`` is the number for flag plans.
    ``kept_in`` says where decisions are kept: in files of the output folder, or in the database of the payments, where
    people at several machines see the same ones.
    """

    approvals_min: Annotated[int, BeforeValidator(refuse_bool), Field(ge=0, le=2)] = 0
    flags_min: Annotated[int, BeforeValidator(refuse_bool), Field(ge=0, le=2)] = 0
    author_may_approve: bool = True
    two_person_above: dict[str, AmountText] = Field(default_factory=dict)
    valid_h: Annotated[int, BeforeValidator(refuse_bool), Field(ge=1, le=8760)] = 24
    allowed_signers: str | None = Field(default=None, min_length=1)
    revoked_signers: str | None = Field(default=None, min_length=1)
    signing_key: str | None = Field(default=None, min_length=1)
    kept_in: Literal["files", "database"] = "files"


FieldPath = Annotated[str, Field(pattern=r"^[^\s$][^\s]*$", max_length=200)]


def _known_fields(value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    unknown = sorted(set(value) - set(FIELDS))
    if unknown:
        near = difflib.get_close_matches(unknown[0], FIELDS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(FIELDS)}"
        raise ValueError(f"{unknown[0][:60]!r} is no field of a delivery; {hint}")
    return value


class DeliveriesSection(Section):
    """``[deliveries]``: where webhook deliveries are kept; a snapshot holds those of its window.

    ``fields`` names where a field stands in records of a make of their own; those names are looked for first.
    """

    files: tuple[str, ...] = Field(default=(), max_length=100)
    collection: str | None = Field(default=None, min_length=1, max_length=120)
    fields: Annotated[dict[str, tuple[FieldPath, ...]], AfterValidator(_known_fields)] = Field(default_factory=dict)


class StatementsSection(Section):
    """``[statements]``: bank statements and exports that prove payments in place of a provider's own API.

    ``mapping`` is a file of ``[[claims]]``, as ``recon import`` has them; its files are named from where it lies.
    """

    mapping: str | None = Field(default=None, min_length=1, max_length=1000)


class IncidentSection(Section):
    """``[incident]``: the habits of the house that the texts of an incident are written for."""

    style: StyleName = "marketplace"


class RecordedSection(Section):
    """``[recorded]``: a recorded world that stands in for every source; nothing is asked of any network."""

    path: str | None = None


class OutputSection(Section):
    """``[output]``: where snapshots, plans and the run history go, and who may read them."""

    dir: str = "recon-out"
    mode: Literal["0600", "0640", "0660", "0644", "0664"] = "0600"


def _explorer(said: Any) -> Any:
    """The address of an explorer with the usual routes, or its two pages as they are given."""
    if not isinstance(said, str):
        return said
    root = said.rstrip("/")
    return {"tx": f"{root}/tx/{HASH}", "address": f"{root}/address/{ADDRESS}"}


def _tx_page(said: str) -> str:
    if not is_page(said, HASH):
        raise ValueError(f"must be an http or https address with {HASH} where the hash of a transaction belongs")
    return said


def _address_page(said: str) -> str:
    if said and not is_page(said, ADDRESS):
        raise ValueError(f"must be an http or https address with {ADDRESS} where an address of the chain belongs")
    return said


class ExplorerSection(Section):
    """A value of ``[explorers]``: the pages of a transaction and of an address at a chain's explorer."""

    tx: Annotated[str, AfterValidator(_tx_page)]
    address: Annotated[str, AfterValidator(_address_page)] = ""


class _Before(BaseSettings):
    """What stands before the providers."""

    model_config = SettingsConfigDict(
        env_prefix="RECON_", env_nested_delimiter="__", extra="forbid", frozen=True, hide_input_in_errors=True
    )

    secrets_file: str | None = None
    target: TargetSection = TargetSection()
    mongo: MongoSection = MongoSection()
    sql: SqlSection = SqlSection()
    fields: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    window: WindowSection = WindowSection()


if TYPE_CHECKING:
    _WithProviders = _Before
else:
    # Each provider that is installed has a section under its own name.
    _WithProviders = create_model(
        "_WithProviders",
        __base__=_Before,
        **{name: (each.section(), each.section()()) for name, each in providers().items()},
    )


class SettingsFile(_WithProviders):
    """The sections of ``recon.toml``; a ``RECON_SECTION__KEY`` variable beats what the file says."""

    chains: tuple[ChainSection, ...] = ()
    merchant: MerchantSection = MerchantSection()
    tokens: tuple[TokenSection, ...] = ()
    emitters: tuple[EmitterSection, ...] = ()
    failures: FailuresSection = FailuresSection()
    statements: StatementsSection = StatementsSection()
    reserves: tuple[ReserveSection, ...] = Field(default=(), max_length=100)
    balances: BalancesSection = BalancesSection()
    policy: PolicySection = PolicySection()
    limits: LimitsSection = LimitsSection()
    health: HealthSection = HealthSection()
    approvals: ApprovalsSection = ApprovalsSection()
    flags: FlagsSection = FlagsSection()
    gates: GatesSection = GatesSection()
    incident: IncidentSection = IncidentSection()
    backfill: BackfillSection = BackfillSection()
    ledger: LedgerSection = LedgerSection()
    repair: RepairSection = RepairSection()
    hold: HoldSection = HoldSection()
    deliveries: DeliveriesSection = DeliveriesSection()
    explorers: dict[str, Annotated[ExplorerSection, BeforeValidator(_explorer)]] = Field(default_factory=dict)
    watch: WatchSection = WatchSection()
    recorded: RecordedSection = RecordedSection()
    output: OutputSection = OutputSection()
    alerts: AlertsSection = AlertsSection()
    page: PageSection = PageSection()
    traces: TracesSection = TracesSection()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Variables first, then the file; nothing else is looked at."""
        return env_settings, init_settings


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file of bounded size.

    Raises:
        ConfigFileError: It cannot be read, or is not TOML.
    """
    try:
        if path.stat().st_size > FILE_MAX_BYTES:
            raise ConfigFileError(path=path.name, why="it is larger than any configuration")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigFileError(path=str(path), why=f"the file cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigFileError(path=path.name, why="the file is not UTF-8 text") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigFileError(path=path.name, why=f"the file is not TOML ({error})") from error


def parse_settings(content: Mapping[str, Any], *, name: str = CONFIG_NAME) -> SettingsFile:
    """Check what the file says, with the ``RECON_...`` variables over it.

    Raises:
        ConfigError: One sentence on the first problem.
    """
    _refuse_secrets(content, name)
    try:
        return SettingsFile(**content)
    except SettingsError as error:
        field = re.search(r'"(\w+)"', str(error))
        raise WrongSettingError(
            path="environment",
            key=f"RECON_{(field[1] if field else '').upper()}",
            why="it is not the JSON of a section",
        ) from error
    except ValidationError as error:
        raise explain_invalid(error, name) from error


def _secret_keys() -> dict[tuple[str, str], str]:
    """Keys that would hold a secret, and the variable that holds it instead: for each ``x_variable`` the key ``x``."""
    keys = {("mongo", "uri"): URI_VARIABLE}
    keys |= {("page", setting): f"the variable that page.{setting}_variable names" for setting in PAGE_SECRETS}
    for setting in ("url", "write_url"):
        keys["sql", setting] = str(SqlSection.model_fields[f"{setting}_variable"].default)
    for name, each in providers().items():
        for setting, info in each.section().model_fields.items():
            if setting.endswith("_variable"):
                keys[name, setting.removesuffix("_variable")] = str(info.default)
    return keys


def _refuse_secrets(content: Mapping[str, Any], name: str) -> None:
    for (section, key), variable in _secret_keys().items():
        part = content.get(section)
        if isinstance(part, dict) and key in part:
            raise SecretInFileError(path=name, key=f"{section}.{key}", variable=variable)
    alerts = content.get("alerts")
    channels = alerts.get("channels") if isinstance(alerts, dict) else ()
    for channel in channels if isinstance(channels, list) else ():
        for key in CHANNEL_SECRETS:
            if isinstance(channel, dict) and key in channel:
                variable = "the variable that its secret_variable names"
                raise SecretInFileError(path=name, key=f"alerts.channels.{key}", variable=variable)


def explain_invalid(error: ValidationError, name: str) -> ConfigError:
    """The first thing that a file of settings has wrong, as our own error."""
    problem = error.errors(include_url=False, include_input=False)[0]
    location = problem["loc"]
    key = ".".join(str(part) for part in location if isinstance(part, str)) or "the file"
    variable = "RECON_" + "__".join(str(part) for part in location if isinstance(part, str)).upper()
    path = variable if any(found.upper() == variable for found in os.environ) else name
    if problem["type"] == "extra_forbidden":
        return UnknownSettingError(path=path, key=key, nearest=_nearest(location))
    why = problem["msg"].removeprefix("Value error, ")
    return WrongSettingError(path=path, key=key, why=why[:1].lower() + why[1:])


def _nearest(location: tuple[int | str, ...]) -> str | None:
    """The known key most like an unknown one: first in its own section, then anywhere."""
    names = [str(part) for part in location if isinstance(part, str)]
    known = [".".join(path) for path in known_keys(SettingsFile)]
    siblings = [key for key in known if key.rpartition(".")[0] == ".".join(names[:-1])]
    last = {key.rpartition(".")[2]: key for key in [*known, *siblings]}
    own = difflib.get_close_matches(names[-1], [key.rpartition(".")[2] for key in siblings], n=1)
    if own:
        return ".".join([*names[:-1], own[0]])
    far = difflib.get_close_matches(names[-1], list(last), n=1, cutoff=0.75)
    return last[far[0]] if far else None


def known_keys(model: type[BaseModel], path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every key the file may have, as its path of names."""
    keys = []
    for name, info in model.model_fields.items():
        keys.append((*path, name))
        for part in (info.annotation, *get_args(info.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                keys += known_keys(part, (*path, name))
    return keys
