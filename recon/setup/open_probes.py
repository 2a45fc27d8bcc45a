"""Opens what asks the rails and the running backend whether they are well."""

from __future__ import annotations

from recon.rails.flags.probes import HttpProber, Probe, ProbeAnswer, Prober, default_probe
from recon.setup.file import MissingSecretError
from recon.setup.rail_sections import SecretOf
from recon.setup.settings import Settings
from recon.sources.providers.installed import providers


class RecordedProber:
    """In a recorded world its rails count as up, because nothing is asked of any network; other probes are asked."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._real = HttpProber()

    def ask(self, probe: Probe) -> ProbeAnswer:
        """See :class:`recon.rails.flags.probes.Prober`."""
        if probe.url.startswith("http://recorded.invalid") and probe.name in self._names:
            return ProbeAnswer(probe.name, "up", "a recorded world stands in for it")
        return self._real.ask(probe)

    def ask_gone(self, probe: Probe) -> ProbeAnswer:
        """See :class:`recon.rails.flags.probes.Prober`."""
        return self._real.ask_gone(probe)


def open_prober(settings: Settings) -> Prober:
    """What asks the rails and the backend."""
    return HttpProber() if settings.world is None else RecordedProber(settings.providers)


def backend_probes(settings: Settings) -> tuple[Probe, ...]:
    """How the running backend is asked. Raises ConfigError when a secret is missing."""
    return settings.values.flags.readback_probes(secret_of(settings))


def secret_of(settings: Settings) -> SecretOf:
    """How a probe's secret is read."""
    return lambda variable, purpose: settings.secret(variable, purpose=purpose).get_secret_value()


def default_probes(settings: Settings) -> dict[str, Probe]:
    """How each configured rail is asked where the configuration names no probe of its own."""
    if settings.world is not None:
        return {name: Probe(name, "http://recorded.invalid/") for name in settings.providers}
    found = {
        name: default_probe(name, settings.section(name), key=_key_of(settings, name)) for name in settings.providers
    }
    return {name: probe for name, probe in found.items() if probe is not None}


def _key_of(settings: Settings, provider: str) -> str | None:
    """The key that a rail is asked with, where one is set."""
    variable = getattr(settings.section(provider), "api_key_variable", None)
    if variable is None:
        return None
    try:
        return settings.secret(variable, purpose=providers()[provider].title).get_secret_value()
    except MissingSecretError:
        return None
