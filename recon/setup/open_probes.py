"""Opens what asks the rails and the running backend whether they are well."""

from __future__ import annotations

from recon.rails.flags.probes import HttpProber, Probe, ProbeAnswer, Prober
from recon.setup.file import MissingSecretError
from recon.setup.rail_sections import SecretOf, rail_probe
from recon.setup.settings import Settings


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
    found: dict[str, Probe] = {}
    network, shkeeper = settings.values.request_network, settings.values.shkeeper
    if "request_network" in settings.providers:
        try:
            key = settings.secret(network.api_key_variable, purpose="Request Network").get_secret_value()
        except MissingSecretError:
            key = None
        found |= rail_probe("request_network", network.base_url, api_key=key)
    if "shkeeper" in settings.providers:
        found |= rail_probe("shkeeper", shkeeper.base_url, health_path=shkeeper.health_path)
    return found
