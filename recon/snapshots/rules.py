"""The rules under which a snapshot was taken: the policy, and what the configuration added to the registry.

With them it is judged anywhere, without the configuration, and gives the same plan. They are sealed with the evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from recon.core.errors import RefusedError
from recon.core.model import Policy
from recon.core.registry import Registry, extend_registry, load_registry
from recon.core.registry.known import ChainFacts, Emitter, Token
from recon.snapshots.sealed import Snapshot

RULES: Final = "rules"
_EXACT_MAX: Final = 2**53


class RulesError(RefusedError):
    """The rules in a snapshot cannot be read."""

    def __init__(self, *, path: str) -> None:
        super().__init__(
            f"{path}: the rules under which it was taken are of another version of recon; nothing was judged. Name the "
            "configuration with --config."
        )


def rules_json(policy: Policy, *, registry: Registry) -> dict[str, Any]:
    """The policy and the additions to the shipped registry, as JSON; whole numbers past 53 bits are text."""
    shipped = load_registry()
    added = {
        "chains": [each for key, each in sorted(registry.chains.items()) if shipped.chains.get(key) != each],
        "tokens": [each for key, each in sorted(registry.tokens.items()) if shipped.tokens.get(key) != each],
        "emitters": [each for key, each in sorted(registry.emitters.items()) if shipped.emitters.get(key) != each],
    }
    return {
        "policy": _exact(msgspec.to_builtins(policy, str_keys=True)),
        "registry": {name: _exact(msgspec.to_builtins(each, str_keys=True)) for name, each in added.items() if each},
    }


def rules_of(snapshot: Snapshot) -> tuple[Policy, Registry] | None:
    """The policy and the registry under which a snapshot was taken; None where it is of before they were kept.

    Raises:
        RulesError: They cannot be read.
    """
    stored = snapshot.manifest.get(RULES)
    if stored is None:
        return None
    try:
        policy = msgspec.convert(stored["policy"], Policy, strict=False)
        added = stored["registry"]
        registry = extend_registry(
            load_registry(),
            chains=tuple(msgspec.convert(added.get("chains", []), list[ChainFacts], strict=False)),
            tokens=tuple(msgspec.convert(added.get("tokens", []), list[Token], strict=False)),
            emitters=tuple(msgspec.convert(added.get("emitters", []), list[Emitter], strict=False)),
        )
    except (msgspec.ValidationError, KeyError, TypeError, AttributeError) as error:
        raise RulesError(path=snapshot.path.name) from error
    if rules_json(policy, registry=registry) != stored:
        raise RulesError(path=snapshot.path.name)  # A field that this version does not know would be judged without.
    return policy, registry


def _exact(value: Any) -> Any:
    """The same value with its large whole numbers as text, which every reader of JSON keeps."""
    if isinstance(value, Mapping):
        return {key: _exact(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_exact(each) for each in value]
    is_large = isinstance(value, int) and not isinstance(value, bool) and abs(value) > _EXACT_MAX
    return str(value) if is_large else value
