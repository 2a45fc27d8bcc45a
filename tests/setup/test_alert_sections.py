"""``[alerts]`` and ``[page]``: one sentence on what cannot be meant, and no secret in the file."""

from __future__ import annotations

import pytest

from recon.core.errors import ConfigError
from recon.setup.file import parse_settings

CHANNEL = {"name": "chat", "secret_variable": "CHAT"}


@pytest.mark.parametrize(
    ("alerts", "said"),
    [
        ({"quiet_from": "25:00", "quiet_to": "07:00"}, "a time of day is wanted"),
        ({"quiet_from": "22:00"}, "quiet_from and quiet_to belong together"),
        ({"time_zone": "Europe/Nowhere"}, "is no time zone that this machine knows"),
        ({"time_zone": "../../etc/passwd"}, "is no time zone that this machine knows"),
        ({"channels": [CHANNEL, CHANNEL]}, "two channels are called 'chat'"),
        ({"channels": [{**CHANNEL, "kind": "pigeon"}]}, "alerts.channels.kind"),
        ({"channels": [{**CHANNEL, "base_url": "https://x.example"}]}, "base_url is for pagerduty and opsgenie"),
        ({"channels": [{**CHANNEL, "urgency_min": "loud"}]}, "alerts.channels.urgency_min"),
        ({"channels": [{**CHANNEL, "rules": ["A rule"]}]}, "alerts.channels.rules"),
        ({"update_every_min": True}, "a whole number is wanted"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(alerts: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_settings({"alerts": alerts})


@pytest.mark.parametrize(
    "content",
    [
        {"alerts": {"channels": [{"name": "chat", "url": "slack://hush/hush/hush"}]}},
        {"alerts": {"channels": [{"name": "chat", "secret": "hush"}]}},
        {"alerts": {"channels": [{"name": "chat", "secret_variable": "slack://hush/hush"}]}},
        {"page": {"token": "hush"}},
        {"page": {"proxy_secret": "hush"}},
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_repeated(content: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_settings(content)
    assert "hush" not in str(refused.value)


def test_a_header_needs_its_secret() -> None:
    with pytest.raises(ConfigError, match="proxy_header and proxy_secret_variable belong together"):
        parse_settings({"page": {"proxy_header": "X-Recon-Proxy"}})
