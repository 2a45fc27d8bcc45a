"""Conclusions about the provider flags."""

from __future__ import annotations

import shutil
from collections.abc import Mapping

from click.testing import CliRunner

from recon.cli import cli
from recon.rails.flags.readings import FlagReading
from recon.rails.flags.status import judge_flags
from recon.rails.flags.words import FlagWords
from recon.reports.views.flags import render_flag_status
from tests.reports.conclusions.rows import Conclusion, Home, Make, Page, shown

# Flags

SOUND = {
    "PAYMENT_ENABLED_PROVIDERS": "shkeeper", "REQUEST_NETWORK_ENABLED": "false", "PAYMENT_PROVIDER_MODE": "live",
    "PAYMENT_RECONCILIATION_ENABLED": "true",
}  # fmt: skip
CLOSED = SOUND | {"PAYMENT_PROVIDER_MODE": "read_only"}
WORD = FlagWords()


def flags_page(values: Mapping[str, str], *, unread: tuple[str, ...] = ()) -> Make:
    def make(_: Home) -> Page:
        reading = FlagReading({}, looked=("a.env", "b.yaml"), unread=unread)
        status = judge_flags(values, WORD, doubts=reading.doubts(set(WORD.known_flags()) - set(values)))
        page = shown(render_flag_status(status, place="a.env", notes=(), entries=(), looked=reading.looked))
        assert "a.env, b.yaml" in page.text or not status.unknown, "the places that were looked at are named"
        return page

    return make


def less(values: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in values.items() if name not in names}


OFF_FLAGS: dict[str, Make] = {
    "absent": flags_page({}), "unreadable": flags_page({}, unread=("b.yaml cannot be read",)),
    "the mode": flags_page(less(CLOSED, "PAYMENT_PROVIDER_MODE", "PAYMENT_ENABLED_PROVIDERS")),
    "a word nobody knows": flags_page(SOUND | {"PAYMENT_PROVIDER_MODE": "turbo"}),
}  # fmt: skip


def env_page(content: bytes | None) -> Make:
    def make(home: Home) -> Page:
        place = home.folder / "flags"
        place.mkdir(exist_ok=True)
        shutil.rmtree(place)
        place.mkdir()
        if content is not None:
            (place / ".env").write_bytes(content)
        (place / "recon.toml").write_text(f'[recorded]\npath = "{home.world().parent}"\n[flags]\nfile = ".env"\n')
        ran = CliRunner().invoke(cli, ["flags", "status", "--config", str(place / "recon.toml")])
        return Page(ran.output, ran.exit_code)

    return make


SOUND_ENV = "".join(f"{name}={value}\n" for name, value in SOUND.items()).encode()
DOTENV = "".join(f"{name}={value}\n" for name, value in CLOSED.items()).encode()
FLAGS = (
    Conclusion(
        "flags status", "No rail takes new payments", "a mode that only reads, or a list with every rail switched off",
        flags_page(CLOSED), OFF_FLAGS,
        (("rails/flags/status.py", "_meaning", "No rail takes new payments"),),
    ),
    Conclusion(
        "flags status", "rails that take new payments**: none", "the same", flags_page(CLOSED), OFF_FLAGS,
        (("reports/views/flags.py", "render_flag_status", "none"),),
    ),
    Conclusion(
        "flags status", "New payments go to shkeeper", "the list, each listed rail's own switch, and the mode",
        flags_page(SOUND),
        {"the list": flags_page(less(SOUND, "PAYMENT_ENABLED_PROVIDERS")), "an empty list": flags_page(
            SOUND | {"PAYMENT_ENABLED_PROVIDERS": ""}), "a strange mode": flags_page(
            SOUND | {"PAYMENT_PROVIDER_MODE": "turbo"}),
         "a switch": flags_page(less(SOUND, "REQUEST_NETWORK_ENABLED") | {"PAYMENT_ENABLED_PROVIDERS": "rn"})},
    ),
    Conclusion(
        "flags status", "the backend does not reconcile by itself", "its switch",
        flags_page(SOUND | {"PAYMENT_RECONCILIATION_ENABLED": "false"}),
        {"absent": flags_page(less(SOUND, "PAYMENT_RECONCILIATION_ENABLED"), unread=("b.yaml cannot be read",))},
    ),
    Conclusion(
        "flags status", "No rail takes new payments", "a flag file that can be read", env_page(DOTENV),
        {"absent": env_page(None), "empty": env_page(b""), "unreadable": env_page(b"\xff\xfe\x00\x00" * 99),
         "truncated": env_page(DOTENV.partition(b"PAYMENT_PROVIDER_MODE")[0].partition(b"\n")[2])},
        codes=(4,),
    ),
)  # fmt: skip
