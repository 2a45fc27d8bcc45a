"""What a set of flags means together: which rails take new payments, what each flag says, and what contradicts.

Pure: it looks only at the values it is given. What is not among them is not known: a rail takes no new payments only
where something says so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from recon.rails.flags.words import (
    DEFAULT_PROVIDER,
    ENABLED_PROVIDERS,
    FLAGS,
    FORCE_PAYOUT_DEMO,
    MODE_TEXT,
    PAYMENT_MODE,
    PROVIDER_MODE,
    RECONCILIATION_ENABLED,
    ROLLBACK_PROVIDER,
    FlagWords,
    bool_of,
    looks_secret,
    mode_of,
    split_list,
)


@dataclass(frozen=True, slots=True)
class FlagView:
    """One flag as it stands: the value as written (None when it is not set) and what that means."""

    flag: str
    value: str | None
    means: str
    is_understood: bool


@dataclass(frozen=True, slots=True)
class FlagStatus:
    """All flags and what they mean together.

    Args:
        rails: Rails that take new payments now, in the order of the list.
        contradictions: Flags that cannot both be meant, or words that are not understood; one sentence each.
        alarms: What is dangerous whatever else is set; one sentence each.
        unknown: What cannot be told, and why; one sentence each. Nothing here means that the rails are known.
    """

    flags: tuple[FlagView, ...]
    rails: tuple[str, ...]
    means: str
    contradictions: tuple[str, ...]
    alarms: tuple[str, ...]
    unknown: tuple[str, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Whether nothing contradicts and nothing alarms."""
        return not self.contradictions and not self.alarms


def judge_flags(
    values: Mapping[str, str | None], words: FlagWords, *, doubts: Mapping[str, str] | None = None
) -> FlagStatus:
    """Say what the flags mean, one by one and together.

    Args:
        values: Values by name as the file gives them; others than flags are not looked at.
        doubts: Why the value of a flag cannot be told, by name.
    """
    doubts = doubts or {}
    views = tuple(_view(flag, values, words, doubts) for flag in words.known_flags() if not looks_secret(flag))
    values = {**words.with_defaults(values), **{flag: values.get(flag) for flag in doubts}}
    rails = open_rails(values, words)
    why = why_unknown(values, words, doubts=doubts)
    flags_by_doubt: defaultdict[str, list[str]] = defaultdict(list)
    for flag, doubt in doubts.items():
        if flag in words.known_flags():
            flags_by_doubt[doubt].append(flag)
    doubted = [f"{', '.join(flags)} cannot be told: {doubt}." for doubt, flags in flags_by_doubt.items()]
    return FlagStatus(
        flags=views,
        rails=() if why else rails,
        means=_meaning(values, rails, why, doubts),
        contradictions=tuple(_contradictions(values, words, views)),
        alarms=tuple(_alarms(values)),
        unknown=(*([f"Cannot tell which rails take new payments: {why}."] if why else []), *doubted),
    )


def why_unknown(values: Mapping[str, str | None], words: FlagWords, *, doubts: Mapping[str, str]) -> str:
    """Why nobody can tell which rails take new payments; empty where the flags say it.

    A list that is missing or empty may mean every rail to a backend, and a word that nobody knows may be one. A rail
    that is listed and whose own switch is not set is on or off by the backend's default.
    """
    values = {**words.with_defaults(values), **{flag: values.get(flag) for flag in doubts}}
    if _reads_only(values):
        return ""
    doubted = [flag for flag in (ENABLED_PROVIDERS, PROVIDER_MODE, PAYMENT_MODE) if flag in doubts]
    listed = split_list(values.get(ENABLED_PROVIDERS) or "")
    rails = [rail for rail in map(words.rail, listed) if rail]
    if doubted:
        return f"{doubted[0]}: {doubts[doubted[0]]}"
    if not listed:
        return f"{ENABLED_PROVIDERS} is {_NO_LIST[values.get(ENABLED_PROVIDERS) is None]}"
    if not rails:
        return f"{ENABLED_PROVIDERS} names no rail that is known"
    unclear = (_unclear_switch(rail, words.rail_switches.get(rail), values, doubts) for rail in rails)
    return next(chain(_strange_modes(values), filter(None, unclear)), "")


def _strange_modes(values: Mapping[str, str | None]) -> Iterator[str]:
    """Modes that are set to a word that nobody knows."""
    for flag in (PROVIDER_MODE, PAYMENT_MODE):
        if (values.get(flag) or "").strip() and mode_of(values[flag]) is None:
            yield f"{flag} is {_NO_MODE}"


_NO_MODE: Final = "a word that nobody knows, and may be a mode in which no payments are taken"
_NO_LIST: Final = {True: "not set here", False: "empty, which a backend may read as every rail"}


def _unclear_switch(rail: str, switch: str | None, values: Mapping[str, str | None], doubts: Mapping[str, str]) -> str:
    """Why the switch of a rail does not tell whether it is on; empty where it does, or where there is none."""
    if switch is None:
        return ""
    if switch in doubts:
        return f"{switch}: {doubts[switch]}"
    said = values.get(switch)
    if said is None or not said.strip():
        how = "not set here" if said is None else "empty here"
        return f"{rail} is listed and its {switch} is {how} (name what the backend takes it for in [flags.defaults])"
    return f"{switch} is neither on nor off" if bool_of(said) is None else ""


def _reads_only(values: Mapping[str, str | None]) -> bool:
    """Whether a mode is set in which no rail takes new payments."""
    return "read_only" in (mode_of(values.get(PROVIDER_MODE)), mode_of(values.get(PAYMENT_MODE)))


def open_rails(values: Mapping[str, str | None], words: FlagWords) -> tuple[str, ...]:
    """The rails that take new payments: listed, not switched off, and in no mode that only reads.

    Where :func:`why_unknown` says something these are the rails that may take them.
    """
    values = words.with_defaults(values)
    if _reads_only(values):
        return ()
    listed = [rail for word in split_list(values.get(ENABLED_PROVIDERS) or "") if (rail := words.rail(word))]
    return tuple(rail for rail in dict.fromkeys(listed) if not _is_off(rail, values, words))


def _is_off(rail: str, values: Mapping[str, str | None], words: FlagWords) -> bool:
    switch = words.rail_switches.get(rail)
    return switch is not None and bool_of(values.get(switch)) is False


def _view(flag: str, values: Mapping[str, str | None], words: FlagWords, doubts: Mapping[str, str]) -> FlagView:
    about = FLAGS[flag][1] if flag in FLAGS else "a flag of this installation"
    value = values.get(flag)
    if flag in doubts:
        return FlagView(flag, None, f"cannot tell: {doubts[flag]} ({about})", True)
    if value is None and (default := words.defaults.get(flag)) is not None:
        said = _said(flag, default, words)
        means = f"not set here; [flags.defaults] says {default[:60]} ({about}: {said or 'nobody knows that word'})"
        return FlagView(flag, None, means, said is not None)
    if value is None or not value.strip():
        how = "not set here" if value is None else "empty here"
        return FlagView(flag, value, f"cannot tell: {how}, so the backend's own default applies ({about})", True)
    said = _said(flag, value, words)
    means = f"{about}: {said}" if said else f"{about}: nobody knows the word {value[:60]!r}"
    return FlagView(flag, value, means, said is not None)


def _said(flag: str, value: str, words: FlagWords) -> str | None:
    """What a value means in words, or None if it cannot be understood."""
    match words.kind(flag):
        case "bool":
            return {True: "yes", False: "no", None: None}[bool_of(value)]
        case "mode":
            mode = mode_of(value)
            return MODE_TEXT[mode] if mode else None
        case "provider" | "providers":
            named = [words.rail(word) for word in split_list(value)]
            return None if None in named else ", ".join(str(name) for name in named)
        case _:
            return "taken as it is"


def _meaning(values: Mapping[str, str | None], rails: tuple[str, ...], why: str, doubts: Mapping[str, str]) -> str:
    mode = mode_of(values.get(PROVIDER_MODE))
    taken = f"New payments go to {' and '.join(rails)}" if rails else "No rail takes new payments"
    if why:
        taken = f"Cannot tell which rails take new payments: {why}"
    is_set = bool((values.get(PROVIDER_MODE) or "").strip())
    said = "cannot be told" if PROVIDER_MODE in doubts or is_set else "is not set here"
    reconciles = bool_of(values.get(RECONCILIATION_ENABLED))
    by_itself = {
        True: "the backend reconciles by itself",
        False: "the backend does not reconcile by itself",
        None: "whether the backend reconciles by itself is not set here",
    }[reconciles]
    if RECONCILIATION_ENABLED in doubts:
        by_itself = "whether the backend reconciles by itself cannot be told"
    return f"{taken}; {MODE_TEXT[mode] if mode else f'the mode {said}'}; {by_itself}."


def _contradictions(values: Mapping[str, str | None], words: FlagWords, views: tuple[FlagView, ...]) -> list[str]:
    listed_words = split_list(values.get(ENABLED_PROVIDERS) or "")
    listed = [words.rail(word) for word in listed_words]
    return [
        *(f"{view.flag}: {view.means}." for view in views if not view.is_understood),
        *_mode_words_listed(listed_words),
        *_switches_against_list(values, words, listed),
        *_named_against_list(values, words, listed),
        *_modes_against_each_other(values),
    ]


def _mode_words_listed(listed_words: Sequence[str]) -> Iterator[str]:
    for word in listed_words:
        if mode_of(word):
            yield f"{ENABLED_PROVIDERS} holds the mode word {word!r}; {PROVIDER_MODE} was probably meant."


def _switches_against_list(
    values: Mapping[str, str | None], words: FlagWords, listed: Sequence[str | None]
) -> Iterator[str]:
    """Rails that the list and their own switch disagree about."""
    for rail, switch in sorted(words.rail_switches.items()):
        state = bool_of(values.get(switch))
        if state is False and rail in listed:
            yield f"{ENABLED_PROVIDERS} lists {rail} and {switch} switches it off."
        # In a mode that only reads, a rail may stay switched on for the webhooks of money that is on its way.
        if state is True and listed and rail not in listed and not _reads_only(values):
            yield f"{switch} switches {rail} on and {ENABLED_PROVIDERS} does not list it."


def _named_against_list(
    values: Mapping[str, str | None], words: FlagWords, listed: Sequence[str | None]
) -> Iterator[str]:
    """A default or fallback rail that takes no payments."""
    for flag, what in ((DEFAULT_PROVIDER, "the default"), (ROLLBACK_PROVIDER, "the rail to fall back to")):
        named = words.rail(values.get(flag) or "")
        if not named:
            continue
        if listed and named not in listed:
            yield f"{flag} names {named} as {what} and {ENABLED_PROVIDERS} does not list it."
        elif _is_off(named, values, words):
            yield f"{flag} names {named} as {what} and {words.rail_switches[named]} switches it off."


def _modes_against_each_other(values: Mapping[str, str | None]) -> Iterator[str]:
    modes = [mode_of(values.get(flag)) for flag in (PROVIDER_MODE, PAYMENT_MODE)]
    if None not in modes and modes[0] != modes[1]:
        yield f"{PROVIDER_MODE} says {values[PROVIDER_MODE]} and {PAYMENT_MODE} says {values[PAYMENT_MODE]}."


def _alarms(values: Mapping[str, str | None]) -> list[str]:
    found = []
    if bool_of(values.get(FORCE_PAYOUT_DEMO)):
        found.append(f"{FORCE_PAYOUT_DEMO} is on: payouts are only SIMULATED, and none of them counts as settled.")
    if mode_of(values.get(PROVIDER_MODE)) == "dry_run":
        found.append(f"{PROVIDER_MODE}={values[PROVIDER_MODE]} still writes statuses; only acts on chain are left out.")
    return found
