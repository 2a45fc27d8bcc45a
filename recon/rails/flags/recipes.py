"""Named sets of flag changes, as data: what a runbook sets, in its order, with the acts around it.

A recipe speaks of roles: ``{sick}`` is the rail that misbehaves, ``{safe}`` the one that payments go to. So each recipe
works both ways round. None leaves a contradiction of its own: what still names the sick rail moves with it. What the
two runbooks disagree on is settled here and nowhere else:

- ``incident`` switches the sick rail off and the backend's reconciliation too, until the investigation ends.
- ``migration`` changes the default and the mode instead, and keeps reconciliation on, in dry passes.
- ``merged`` takes the routing of both. Where they contradict each other it takes what writes less: the backend's own
  reconciliation off (recon's dry plans go on), the mode left as it is and confirmed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, assert_never

from recon.rails.flags.errors import RecipeError
from recon.rails.flags.words import (
    DEFAULT_PROVIDER,
    ENABLED_PROVIDERS,
    PAYMENT_MODE,
    PROVIDER_MODE,
    RECONCILIATION_ENABLED,
    ROLLBACK_PROVIDER,
    FlagWords,
    bool_of,
    check_flag_value,
    mode_of,
    spell_bool,
    spell_mode,
    split_list,
)
from recon.sources.providers.installed import providers, usual_providers

Act = Literal["switch", "only", "without", "with", "provider", "unless", "mode", "bool", "text"]


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that a recipe sets.

    Args:
        flag: The flag, or ``{sick}``/``{safe}`` for the switch of that rail, which is skipped where it has none.
        act: ``only``, ``with`` and ``without`` are about the provider list; ``unless`` sets a provider flag to the
            safe rail only if it names the sick one; the others set the flag of that kind to ``value``.
        value: A role, a rail, a truth word, a mode or a plain text, as the act needs.
        if_set: Only where the file has the flag already.
    """

    flag: str
    act: Act
    value: str
    if_set: bool = False


@dataclass(frozen=True, slots=True)
class Recipe:
    """A named set of changes.

    Args:
        switches_to: ``{safe}`` when new payments go on elsewhere, so that rail is asked first; None when they stop.
        confirm: Flags that are not changed but must be looked at.
        before, after: Steps around the change, for people, in order.
    """

    name: str
    title: str
    settings: tuple[Setting, ...]
    switches_to: str | None = "{safe}"
    confirm: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


_RECONCILE: Final = "Reconcile the open window of {sick}, dry: recon plan --provider {sick}."
_DRAIN: Final = "Watch the backlog: recon drain --provider {sick}."
_KEEP_WEBHOOKS: Final = "Leave the webhook address of {sick} reachable: money already on its way still arrives there."

RECIPES: Final[dict[str, Recipe]] = {
    "incident": Recipe(
        name="incident",
        title="stop routing new payments to {sick}; they go to {safe}",
        settings=(
            Setting("{sick}", "switch", "false"),
            Setting("{safe}", "switch", "true"),
            Setting(ENABLED_PROVIDERS, "only", "{safe}"),
            Setting(ROLLBACK_PROVIDER, "provider", "{safe}"),
            Setting(DEFAULT_PROVIDER, "unless", "{safe}"),
            Setting(RECONCILIATION_ENABLED, "bool", "false"),
        ),
        confirm=(PROVIDER_MODE,),
        before=("Capture what the logs show now, before a restart ends them.",),
        after=(_KEEP_WEBHOOKS, _DRAIN, _RECONCILE),
    ),
    "migration": Recipe(
        name="migration",
        title="route by default to {safe} and let the rails only read",
        settings=(
            Setting(ENABLED_PROVIDERS, "only", "{safe}"),
            Setting("{safe}", "switch", "true", if_set=True),
            Setting(DEFAULT_PROVIDER, "provider", "{safe}"),
            Setting(ROLLBACK_PROVIDER, "unless", "{safe}"),
            Setting(PROVIDER_MODE, "mode", "read_only"),
            Setting(PAYMENT_MODE, "mode", "read_only", if_set=True),
            Setting(RECONCILIATION_ENABLED, "bool", "true"),
        ),
        after=(
            "Keep the backend's reconciliation in dry passes: do not send apply=true.",
            _KEEP_WEBHOOKS,
            _RECONCILE,
        ),
    ),
    "merged": Recipe(
        name="merged",
        title="the routing of both runbooks: {sick} off, everything to {safe}, nothing writes by itself",
        settings=(
            Setting("{sick}", "switch", "false"),
            Setting("{safe}", "switch", "true"),
            Setting(ENABLED_PROVIDERS, "only", "{safe}"),
            Setting(ROLLBACK_PROVIDER, "provider", "{safe}"),
            Setting(DEFAULT_PROVIDER, "provider", "{safe}"),
            Setting(RECONCILIATION_ENABLED, "bool", "false"),
        ),
        confirm=(PROVIDER_MODE,),
        before=("Capture what the logs show now, before a restart ends them.",),
        after=(_KEEP_WEBHOOKS, _DRAIN, _RECONCILE),
    ),
    "cutoff": Recipe(
        name="cutoff",
        title="no new intents on {sick}; its webhooks go on in read-only until the open windows are reconciled",
        settings=(
            Setting("{safe}", "switch", "true", if_set=True),
            Setting(ENABLED_PROVIDERS, "without", "{sick}"),
            Setting(DEFAULT_PROVIDER, "unless", "{safe}"),
            Setting(ROLLBACK_PROVIDER, "unless", "{safe}"),
            Setting(PROVIDER_MODE, "mode", "read_only"),
            Setting(PAYMENT_MODE, "mode", "read_only", if_set=True),
        ),
        after=(
            _KEEP_WEBHOOKS,
            _RECONCILE,
            _DRAIN,
            "Switch back once the backlog is clear, or on an explicit decision that is written down.",
        ),
    ),
    "read-only": Recipe(
        name="read-only",
        title="both rails stop taking new payments; nothing writes by itself",
        settings=(
            Setting(PROVIDER_MODE, "mode", "read_only"),
            Setting(PAYMENT_MODE, "mode", "read_only", if_set=True),
            Setting(RECONCILIATION_ENABLED, "bool", "false"),
        ),
        switches_to=None,
        after=(
            "Tell customers that payments are paused.",
            "If an account was compromised: list the releases and refunds since then before anything is reversed.",
            "Reconcile both rails, dry: recon plan.",
        ),
    ),
}
"""The recipes that ship; a configuration can add others and cannot replace these."""

ENABLE: Final = Recipe(
    name="enable",
    title="let {safe} take new payments again, beside the rails that do now",
    settings=(
        Setting("{safe}", "switch", "true"),
        Setting(ENABLED_PROVIDERS, "with", "{safe}"),
        Setting(PROVIDER_MODE, "mode", "live", if_set=True),
        Setting(PAYMENT_MODE, "mode", "live", if_set=True),
    ),
    before=("Start with a first cohort of 10 to 15 % of payments where the backend can do that.",),
    after=(
        "Watch the first payments: recon plan --provider {safe}.",
        "Keep the older rail's read path on for at least one billing cycle.",
    ),
)
"""The way back; only ``flags enable`` uses it, because it is behind the gates."""


@dataclass(frozen=True, slots=True)
class Roles:
    """Which rail is sick and which one payments go to."""

    sick: str
    safe: str

    def fill(self, text: str) -> str:
        """Put the rails' names where a text names the roles."""
        return text.replace("{sick}", self.sick).replace("{safe}", self.safe)


def roles_for(sick: str, *, words: FlagWords, safe: str | None = None) -> Roles:
    """Which rails play which part; the safe one is the other of the two unless it is named.

    Raises:
        RecipeError: A name is no known rail, or both are the same.
    """
    names = []
    for word in (sick, safe or _other(words.rail(sick))):
        if word is None or (name := words.rail(word)) is None:
            why = f"names no rail that is known; use {' or '.join(providers())}"
            raise RecipeError(recipe=str(word)[:60], why=why)
        names.append(name)
    if names[0] == names[1]:
        raise RecipeError(recipe=names[0], why="payments cannot be moved from a rail to itself; name another with --to")
    return Roles(*names)


def _other(rail: str | None) -> str | None:
    """The other rail where there are two; with more, one must be named."""
    others = [name for name in usual_providers() if name != rail]
    return others[0] if rail in usual_providers() and len(others) == 1 else None


def find_recipe(name: str, own: Mapping[str, Recipe]) -> Recipe:
    """The recipe of a name, shipped or of the user's own.

    Raises:
        RecipeError: There is none, or an own one has the name of a shipped one.
    """
    if clash := sorted(set(own) & set(RECIPES)):
        raise RecipeError(recipe=clash[0], why="a recipe of that name ships with recon; give yours another name")
    found = RECIPES.get(name) or own.get(name)
    if found is None:
        known = ", ".join([*RECIPES, *sorted(own)])
        raise RecipeError(recipe=name[:60], why=f"there is none of that name; known are {known}")
    return found


def recipe_of_settings(name: str, settings: Mapping[str, str], *, title: str, switches: bool) -> Recipe:
    """A recipe of the user's own: plain flag values, in which ``{sick}`` and ``{safe}`` may stand.

    Raises:
        RecipeError: It sets nothing.
    """
    if not settings:
        raise RecipeError(recipe=name[:60], why="it sets no flag")
    rows = tuple(Setting(flag, "text", value) for flag, value in settings.items())
    return Recipe(name=name, title=title or name, settings=rows, switches_to="{safe}" if switches else None)


def plan_values(recipe: Recipe, roles: Roles, *, values: Mapping[str, str | None], words: FlagWords) -> dict[str, str]:
    """What the recipe makes of each flag it sets, spelled as the file spells it, in the recipe's order.

    Args:
        values: What the file says now.

    Raises:
        FlagValueError, ModeInProviderListError: A value cannot be given to its flag.
        RecipeError: A setting leaves no provider that may take payments.
    """
    wanted: dict[str, str] = {}
    for setting in recipe.settings:
        flag = (
            words.rail_switches.get(getattr(roles, setting.flag.strip("{}")), "")
            if "{" in setting.flag
            else setting.flag
        )
        if not flag or (setting.if_set and flag not in values):
            continue
        value = _value(setting, flag, roles, values, words)
        if value is None:
            continue
        if value != values.get(flag):
            check_flag_value(flag, value, words=words)
        wanted[flag] = value
    return wanted


def _value(setting: Setting, flag: str, roles: Roles, values: Mapping[str, str | None], words: FlagWords) -> str | None:
    current = values.get(flag)
    match setting.act:
        case "switch" | "bool":
            wanted = bool(bool_of(setting.value))
            return current if bool_of(current) is wanted else spell_bool(wanted, current=current)
        case "mode":
            return spell_mode(mode_of(setting.value) or "read_only", current=current, preferred=setting.value)
        case "text":
            return roles.fill(setting.value)
        case "provider" | "unless" | "only" | "without" | "with":
            return _providers(setting, current, roles, values, words)
        case _:
            assert_never(setting.act)


def _providers(
    setting: Setting, current: str | None, roles: Roles, values: Mapping[str, str | None], words: FlagWords
) -> str | None:
    """What becomes of a flag that names rails; what says the right thing already keeps its spelling."""
    rail = roles.fill(setting.value)
    now = split_list(current or "")
    rails = [words.rail(word) for word in now]
    new = words.spell(rail, values)
    match setting.act:
        case "unless":
            return new if roles.sick in rails else None
        case "without":
            if rails and rail not in rails:
                return current
            return _list_without(rail, now, words) or words.spell(roles.safe, values)
        case "with":
            return _list_with(new, current, is_there=rail in rails)
        case _:
            return current if rails == [rail] else new


def _list_with(word: str, current: str | None, *, is_there: bool) -> str | None:
    """The list with one rail more; a list that is not there may mean every rail, and one alone would shut them out."""
    return current if is_there or current is None else ",".join((*split_list(current), word))


def _list_without(rail: str, named: Iterable[str], words: FlagWords) -> str:
    return ",".join(word for word in named if words.rail(word) != rail)
