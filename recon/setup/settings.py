"""Settings: one ``recon.toml``, ``RECON_...`` variables over it, and secrets that come from neither.

A variable names its setting with two underscores between section and key: ``RECON_LIMITS__CHANGES_MAX=800``. Secrets
are read from the environment, or from the dotenv file that ``secrets_file`` names, and are held so that they cannot be
printed. A path in the file starts at the file's own folder.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import SecretStr

from recon.core.errors import MoneyError
from recon.core.ids import normalise_address
from recon.core.model import ExplainedMovement, Policy
from recon.core.money import parse_units
from recon.core.registry import ChainFacts, Emitter, Registry, Token, extend_registry, load_registry
from recon.core.registry.explorers import Explorer
from recon.core.registry.off_chain import OFF_CHAIN, with_books
from recon.files import use_file_mode
from recon.plans.approvals import ApprovalPolicy
from recon.plans.limits import Limits
from recon.setup.file import (
    CONFIG_NAME,
    FILE_MAX_BYTES,
    ChainSection,
    ExplainedSection,
    MissingSecretError,
    SettingsFile,
    TokenSection,
    WindowError,
    WrongSettingError,
    parse_settings,
    read_toml,
)
from recon.sources.interface import Selection
from recon.sources.providers.chain_kind import chain_kinds
from recon.sources.providers.installed import providers, rails_with_books
from recon.sources.providers.sections import web_url


def normal_address(address: object) -> str:
    """An address as everything is compared with it; what is none only in lower case."""
    return normalise_address(str(address)) or str(address).lower()


_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True, repr=False)
class Settings:
    """What the configuration says, checked.

    Args:
        values: The sections, see :class:`recon.setup.file.SettingsFile`.
        source: The file's name, for messages.
        home: The folder that relative paths in the file start at.
        secrets: What ``secrets_file`` holds; the environment is looked at first.
        world: ``world.json`` of the recorded world, or None when the sources are real.
    """

    values: SettingsFile
    source: str = CONFIG_NAME
    home: Path = Path()
    secrets: Mapping[str, SecretStr] = field(default_factory=dict)
    world: Mapping[str, Any] | None = None

    @property
    def recorded_dir(self) -> Path | None:
        """The recorded world that stands in for every source, or None."""
        path = self.values.recorded.path
        return None if path is None else self.home / path

    @property
    def output_dir(self) -> Path:
        """Where snapshots, plans and the run history go."""
        return self.home / self.values.output.dir

    @property
    def decisions_dir(self) -> Path:
        """Where approvals, authors and acknowledgements are recorded."""
        return self.output_dir / "decisions"

    @property
    def target_name(self) -> str:
        """The name the user gave this target; a recorded world brings its own."""
        return self.values.target.name or str((self.world or {}).get("target_name", ""))

    def section(self, provider: str) -> Any:
        """The section of an installed provider, of the model that it names."""
        return getattr(self.values, provider)

    def now(self) -> datetime:
        """The time of this run: the clock, or the moment at which a recorded world stands still."""
        if self.world is None:
            return datetime.now(UTC)
        return datetime.fromisoformat(str(self.world["now"]).replace("Z", "+00:00"))

    def secret(self, variable: str, *, purpose: str) -> SecretStr:
        """The secret that a variable holds.

        Raises:
            MissingSecretError: It is set neither in the environment nor in the secrets file, or it is empty.
        """
        found = os.environ.get(variable) or (
            self.secrets[variable].get_secret_value() if variable in self.secrets else ""
        )
        if not found.strip():
            raise MissingSecretError(variable=variable, purpose=purpose)
        return SecretStr(found.strip())

    def write_uri(self) -> SecretStr:
        """The address under which corrections are written: its own variable, or the one for reading."""
        mongo = self.values.mongo
        try:
            return self.secret(mongo.write_uri_variable, purpose="writing")
        except MissingSecretError:
            return self.secret(mongo.uri_variable, purpose="the database")

    def endpoints(self, chain: ChainSection) -> tuple[SecretStr, ...]:
        """The addresses of a chain's endpoints with every ``${NAME}`` filled in.

        Raises:
            MissingSecretError: A name is set nowhere.
            WrongSettingError: What comes out is no web address.
        """
        filled = []
        for number, endpoint in enumerate(chain.endpoints):
            purpose = f"endpoint {number + 1} of chain {chain.chain_id}"
            text = _VARIABLE.sub(
                lambda match, purpose=purpose: self.secret(match[1], purpose=purpose).get_secret_value(),  # type: ignore[misc]
                endpoint.get_secret_value(),
            )
            try:
                filled.append(SecretStr(web_url(text)))
            except ValueError as error:
                raise WrongSettingError(path=self.source, key=f"chains: {purpose}", why=str(error)) from None
        return tuple(filled)

    @property
    def chain_ids(self) -> tuple[int, ...]:
        """The chains that are in scope: those of the file, else those of the recorded world, else none.

        Where a provider in scope keeps money itself, the place off all chains is one of them.
        """
        configured = [chain.chain_id for chain in self.values.chains]
        chains = set(configured or map(int, (self.world or {}).get("chains", {})))
        return tuple(sorted(chains | ({OFF_CHAIN} if self._bookkeepers else set())))

    @property
    def _bookkeepers(self) -> tuple[str, ...]:
        """The providers in scope that keep money in books of their own."""
        return tuple(name for name in self.providers if name in rails_with_books())

    def _currencies(self) -> tuple[str, ...]:
        """The currencies in the books of providers in scope."""
        kept = ((providers()[name].books, self.section(name)) for name in self._bookkeepers)
        return tuple(sorted({code for books, section in kept if books for code in books.currencies(section)}))

    @property
    def providers(self) -> tuple[str, ...]:
        """The providers that are in scope; in a recorded world those whose answers were recorded."""
        names = {
            name: name in self.values.model_fields_set if section.enabled is None else section.enabled
            for name, section in ((name, self.section(name)) for name in providers())
        }
        folder = self.recorded_dir
        if folder is not None and not any(names.values()):
            return tuple(name for name in names if (folder / f"{name}.ndjson").exists())
        return tuple(name for name, enabled in names.items() if enabled)

    @property
    def recipients(self) -> tuple[str, ...]:
        """Our own addresses, as they are compared, sorted."""
        own = self.values.merchant.recipients or (self.world or {}).get("merchant_recipients", ())
        return tuple(sorted({normal_address(address) for address in own}))

    @property
    def fee_recipients(self) -> tuple[str, ...]:
        """Where a payment's fee may go, as compared, sorted; while there are none, fees are not judged."""
        own = self.values.merchant.fee_recipients or (self.world or {}).get("fee_recipients", ())
        return tuple(sorted({normal_address(address) for address in own}))

    @property
    def payout_wallets(self) -> tuple[str, ...]:
        """Wallets that payouts leave from, as addresses are compared, sorted."""
        return tuple(sorted({normal_address(address) for address in self.values.merchant.payout_wallets}))

    @property
    def known_wallets(self) -> tuple[str, ...]:
        """Wallets whose balances are proven, as addresses are compared, sorted; none where that is switched off.

        A recorded world holds balances only where it says of which wallets.
        """
        if not self.values.balances.enabled or (self.world is not None and not self.world.get("wallets")):
            return ()
        own = (*self.values.merchant.recipients, *self.values.merchant.payout_wallets)
        return tuple(sorted({normal_address(address) for address in own or (self.world or {}).get("wallets", ())}))

    def explained_movements(self) -> tuple[ExplainedMovement, ...]:
        """The named rules for movements of known wallets, in the order of the file.

        Raises:
            WrongSettingError: A rule names a chain that is not in scope, or a token that no configured chain has.
        """
        return tuple(self._explained(number, rule) for number, rule in enumerate(self.values.balances.explained, 1))

    def _explained(self, number: int, rule: ExplainedSection) -> ExplainedMovement:
        return explained_movement(rule, number, registry=self.registry(), chain_ids=self.chain_ids, path=self.source)

    def registry(self) -> Registry:
        """What is known of chains, tokens and contracts: the shipped registry with this file's additions.

        Raises:
            WrongSettingError: An unknown chain comes without a name.
        """
        known = load_registry()
        extended = extend_registry(
            known,
            chains=tuple(self._chain_facts(known, chain) for chain in self.values.chains),
            tokens=tuple(
                Token(t.chain_id, t.address, t.symbol, t.decimals, _aliases(known, t), t.may_take_fee)
                for t in self.values.tokens
            ),
            emitters=tuple(
                Emitter(e.chain_id, e.address, e.kind, e.version, e.created_block) for e in self.values.emitters
            ),
        )
        extended = with_books(extended, self._currencies())
        if not self.values.explorers:
            return extended
        return extend_registry(extended, chains=tuple(self._explored(extended)))

    def _explored(self, known: Registry) -> Iterator[ChainFacts]:
        """The chains for which the file names an explorer of their own."""
        for word, explorer in self.values.explorers.items():
            chain = known.chain_id(word)
            if chain is None:
                raise WrongSettingError(
                    path=self.source, key="explorers", why=f"{word[:40]!r} is no chain id and no name of a known chain"
                )
            yield replace(known.chains[chain], explorer=Explorer(explorer.tx, explorer.address))

    def _chain_facts(self, known: Registry, chain: ChainSection) -> ChainFacts:
        facts = known.chains.get(chain.chain_id)
        if facts is None:
            if not chain.name:
                raise WrongSettingError(
                    path=self.source,
                    key="chains",
                    why=f"chain {chain.chain_id} is not in the registry, so it needs a name (and a final_depth)",
                )
            facts = ChainFacts(chain.chain_id, chain.name, (), 200, False, 2000, 2000)
        given = {
            key: value
            for key in ("name", "final_depth", "trusts_finalized_tag", "block_ms", "range_blocks")
            if (value := getattr(chain, key)) is not None
        }
        return replace(facts, aliases=(*facts.aliases, *chain.aliases), **given)

    def rails_by_word(self) -> tuple[str, ...]:
        """The rails on which a provider's word counts where no endpoint can be asked, as ``shkeeper:137``.

        A provider that keeps books is believed of its own money there, and of no other.

        Raises:
            WrongSettingError: One of them names no provider and chain in scope.
        """
        found = {f"{name}:{OFF_CHAIN}" for name in self._bookkeepers}
        for text in self.values.policy.provider_proves:
            word, _, chain = text.partition(":")
            rail = self.registry().provider(word)
            if rail not in self.providers or not chain.isdecimal() or int(chain) not in self.chain_ids:
                rails = ", ".join(
                    f"{provider}:{chain_id}" for provider in self.providers for chain_id in self.chain_ids
                )
                why = f"{text[:60]!r} is no rail in scope; these are: {rails or 'none'}"
                raise WrongSettingError(path=str(self.source), key="policy.provider_proves", why=why)
            found.add(f"{rail}:{int(chain)}")
        return tuple(sorted(found))

    def policy(self) -> Policy:
        """What a judgement depends on, in the units that the judging code uses.

        Raises:
            WrongSettingError: A limit names a token that no configured chain has, or is finer than its units.
        """
        rules, limits = self.values.policy, self.values.limits
        default = Policy()
        return Policy(
            providers=self.providers,
            chain_ids=self.chain_ids,
            confirmations_min={
                c.chain_id: c.confirmations_min for c in self.values.chains if c.confirmations_min is not None
            },
            confirmations_min_default=rules.confirmations_min_default,
            tolerance_ppm={
                **default.tolerance_ppm,
                **{name: providers()[name].tolerance_ppm for name in self.providers},
                **rules.tolerance_ppm,
            },
            provider_proves=self.rails_by_word(),
            confirmed_means_completed=rules.confirmed_means_completed,
            stuck_after_ms=rules.stuck_after_min * 60_000,
            urgent_after_ms=rules.urgent_after_h * 3_600_000,
            abandoned_after_ms=rules.abandoned_after_days * 86_400_000,
            clock_skew_ms=rules.clock_skew_s * 1000,
            merchant_recipients=self.recipients,
            fee_recipients=self.fee_recipients,
            payout_wallets=self.payout_wallets,
            explained=self.explained_movements(),
            plan_age_max_ms=limits.plan_age_max_h * 3_600_000,
            changes_max=limits.changes_max,
            share_max_percent=limits.share_max_percent,
            share_max_from_rows=limits.share_max_from_rows,
            value_max_units=self.units_by_token("limits.value_max", limits.value_max),
            value_max_units_per_payment=self.units_by_token(
                "limits.value_max_per_payment", limits.value_max_per_payment
            ),
            unproven_share_max_percent=self.values.health.unproven_share_max_percent,
            side_effects=rules.side_effects,
            dust_units={**self._usual_dust(), **self.units_by_token("policy.dust", rules.dust)},
        )

    def _usual_dust(self) -> dict[str, int]:
        """0.01 of each shipped token, which are all worth about a dollar; what a file adds may be worth anything."""
        tokens = [token for token in load_registry().tokens.values() if token.chain_id in self.chain_ids]
        kinds = chain_kinds()
        told = {chain_id: kinds[chain_id].dust_units for chain_id in self.chain_ids if chain_id in kinds}
        return {
            f"{token.chain_id}:{token.address}": told.get(token.chain_id, {}).get(
                token.address, 10 ** (token.decimals - 2)
            )
            for token in tokens
        }

    def units_by_token(self, key: str, amounts: Mapping[str, str]) -> dict[str, int]:
        """Whole tokens by symbol as base units by ``chain_id:token``, since decimals belong to the contract.

        Raises:
            WrongSettingError: No configured chain has such a token, or an amount is finer than its units.
        """
        return units_by_token(key, amounts, registry=self.registry(), chain_ids=self.chain_ids, path=self.source)

    def limits(self) -> Limits:
        """Where an apply stops."""
        given = self.values.limits
        return replace(
            Limits.of(self.policy()), refusals_max=given.refusals_max, refusals_max_percent=given.refusals_max_percent
        )

    def approval_policy(self) -> ApprovalPolicy:
        """How many people must have approved a plan."""
        given = self.values.approvals
        return ApprovalPolicy(
            approvals_min=given.approvals_min,
            author_may_approve=given.author_may_approve,
            two_person_above=self.units_by_token("approvals.two_person_above", given.two_person_above),
            is_signed=given.allowed_signers is not None,
        )

    def selection(
        self,
        *,
        from_at: datetime | None = None,
        to_at: datetime | None = None,
        date_field: Literal["created", "updated"] | None = None,
        choice: Selection | None = None,
        now: datetime | None = None,
    ) -> Selection:
        """Which payments a run is about: ``choice`` within a window.

        Without any date and without ids or ``open_only`` the window is the last ``window.hours`` before now; a
        recorded world without a configured window is read whole. ``now`` is that of the first beginning where an
        interrupted run goes on.

        Raises:
            WindowError: The window ends before it begins.
        """
        choice = choice or Selection()
        named = bool(choice.ids) or choice.open_only
        if from_at is None and to_at is None and not named and self._window_h:
            from_at = (now or self.now()) - timedelta(hours=self._window_h)
        if from_at is not None and to_at is not None and to_at <= from_at:
            raise WindowError(from_at=from_at, to_at=to_at)
        return replace(choice, from_at=from_at, to_at=to_at, date_field=date_field or self.values.window.date)

    @property
    def _window_h(self) -> int:
        whole_world = self.world is not None and "hours" not in self.values.window.model_fields_set
        return 0 if whole_world else self.values.window.hours


def units_by_token(
    key: str, amounts: Mapping[str, str], *, registry: Registry, chain_ids: Collection[int], path: str
) -> dict[str, int]:
    """Whole tokens by symbol as base units by ``chain_id:token``; see :meth:`Settings.units_by_token`.

    Args:
        path: The file that names the amounts, for messages.
    """
    tokens = [token for token in registry.tokens.values() if token.chain_id in chain_ids]
    units: dict[str, int] = {}
    for symbol, amount in amounts.items():
        meant = [token for token in tokens if token.symbol.upper() == symbol.upper()]
        if not meant:
            raise WrongSettingError(
                path=path, key=f"{key}.{symbol}", why="no configured chain has a token of this symbol"
            )
        for token in meant:
            try:
                units[f"{token.chain_id}:{token.address}"] = parse_units(amount, decimals=token.decimals)
            except MoneyError as error:
                raise WrongSettingError(path=path, key=f"{key}.{symbol}", why=str(error)) from error
    return units


def explained_movement(
    rule: ExplainedSection, number: int, *, registry: Registry, chain_ids: Collection[int], path: str
) -> ExplainedMovement:
    """A named rule for movements of known wallets as the judging code uses it; ``number`` names it in messages.

    Raises:
        WrongSettingError: It names a chain that is not in scope, or a token that no configured chain has.
    """
    chains = chain_ids if rule.chain_id is None else (rule.chain_id,)
    key = f"balances.explained: rule {number}"
    if rule.chain_id is not None and rule.chain_id not in chain_ids:
        raise WrongSettingError(path=path, key=key, why=f"chain {rule.chain_id} is not in scope")
    meant = [
        f"{token.chain_id}:{token.address}"
        for token in registry.tokens.values()
        if token.chain_id in chains and (rule.token is None or token.symbol.upper() == rule.token.upper())
    ]
    if not meant:
        why = f"no chain that it is about has a token {rule.token or ''}".rstrip()
        raise WrongSettingError(path=path, key=key, why=why)
    return ExplainedMovement(
        address=rule.address, reason=rule.reason, tokens=tuple(sorted(meant)), wallet=rule.wallet,
        direction=rule.direction,
    )  # fmt: skip


def load_settings(path: Path | None = None) -> Settings:
    """Read the configuration: ``path``, else ``RECON_CONFIG``, else ``recon.toml`` here.

    Files that are made from here on have the rights of ``[output] mode``.

    Raises:
        ConfigError: One sentence on what is wrong and how to put it right; the first problem only.
    """
    path = path or Path(os.environ.get("RECON_CONFIG") or CONFIG_NAME)
    values = parse_settings(read_toml(path), name=path.name)
    home = path.resolve().parent
    settings = Settings(values=values, source=path.name, home=home, secrets=_read_secrets(values, home, path.name))
    if settings.recorded_dir is not None:
        settings = replace(settings, world=_read_world(settings.recorded_dir, path.name))
    settings.registry()
    settings.policy()
    settings.approval_policy()
    use_file_mode(int(values.output.mode, 8))
    return settings


def _read_secrets(values: SettingsFile, home: Path, name: str) -> dict[str, SecretStr]:
    if values.secrets_file is None:
        return {}
    from dotenv import dotenv_values

    path = home / values.secrets_file
    try:
        with path.open(encoding="utf-8") as stream:
            found = dotenv_values(stream=stream, interpolate=False)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8 text"
        raise WrongSettingError(
            path=name, key="secrets_file", why=f"{values.secrets_file} cannot be read ({why})"
        ) from error
    return {key: SecretStr(value) for key, value in found.items() if value}


def _read_world(folder: Path, name: str) -> dict[str, Any]:
    path = folder / "world.json"
    try:
        if path.stat().st_size > FILE_MAX_BYTES:
            raise ValueError("world.json is too large")
        world = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(world, dict) or world.get("format") != 1:
            raise ValueError("world.json is not format 1")
        datetime.fromisoformat(str(world["now"]).replace("Z", "+00:00"))
        for chain in world.get("chains", {}):
            int(chain)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error) or type(error).__name__
        raise WrongSettingError(path=name, key="recorded.path", why=f"no recorded world is there ({why})") from error
    return world


def _aliases(known: Registry, token: TokenSection) -> tuple[str, ...]:
    """The words for a configured token: those that the configuration gives, and those that are known."""
    shipped = known.tokens.get((token.chain_id, token.address))
    return tuple(dict.fromkeys((*token.aliases, *(shipped.aliases if shipped else ()))))
