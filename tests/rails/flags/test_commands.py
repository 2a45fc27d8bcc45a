"""A rail switched in the command that a container starts with is read, or told to be a doubt; never overlooked."""

from __future__ import annotations

from pathlib import Path

import pytest

from recon.rails.flags.commands import said_in_command, split_command
from recon.rails.flags.places import FlagHome
from recon.rails.flags.readings import FlagReading
from recon.rails.flags.words import FlagWords

WORDS = FlagWords()
F = "REQUEST_NETWORK_ENABLED"
LIST = "PAYMENT_ENABLED_PROVIDERS"
DOUBT = object()
BOTH = f"environment: {{{F}: 'true', {LIST}: rn}}"

STARTED = {
    "env": (f"command: env {F}=false node x.js", "false"),
    "env as a list": (f"command: [/usr/bin/env, {F}=false, node, x.js]", "false"),
    "env with options": (f"command: env -u A --chdir /srv -C /x {F}=false node x.js", "false") ,
    "entrypoint": (f"entrypoint: env {F}=false\ncommand: node x.js", "false"),
    "a shell with one plain command": (f"command: sh -c '{F}=false node x.js'", "false"),
    "a shell's exec": (f"command: [bash, -c, 'exec env {F}=false node x.js']", "false"),
    "a text in quotes": (f"command: env '{F}=false' node x.js", "false"),
    "a name of the .env": (f"command: env {F}=${{RN}} node x.js", "0"),
    "a name that only the shell has": (f"command: env {F}=${{OTHER}} node x.js", DOUBT),
    "a script": (f"command: sh -c 'export {F}=false; node x.js'", DOUBT),
    "an option of the program": (f"command: node x.js --set {F}=false", DOUBT),
    "an option named like the flag": ("command: node x.js --request-network-enabled=false", DOUBT),
    "an option about rails": ("command: node x.js --disable-rail request-network", DOUBT),
    "an option that names the rail": ("command: [node, x.js, --no-request-network]", DOUBT),
    "taken away": (f"command: env -u {F} node x.js", DOUBT),
    "taken away, long": (f"command: env --unset={F} node x.js", DOUBT),
    "all taken away": ("command: env -i node x.js", DOUBT),
    "an unclosed quote": (f"command: \"env {F}=false 'node\"", DOUBT),
    "a file that a shell reads": ("entrypoint: [sh, -c, '. /run/secrets/env && exec node x.js']", DOUBT),
    "a file that a shell sources": ("command: bash -c 'set -a; source /vault/secrets/config; node x.js'", DOUBT),
    "a file on one line": ("command: sh -c 'export $(grep -v ^# /app/.env | xargs) && node x.js'", DOUBT),
    "a keeper of secrets": ("command: doppler run -- node x.js", DOUBT),
    "a keeper behind a shell": ("command: sh -c 'op run --env-file=/e -- node x.js'", DOUBT),
    "a file that overrides": ("command: npx dotenv -e .env.production -o -- node x.js", DOUBT),
    "a file that does not override": ("command: node --env-file=.env.production x.js", "true"),
    "words that resemble them": ("command: node ./source.js . --operator run-x", "true"),
    "nothing of it": ("command: node x.js --port 80", "true"),
    "an assignment behind the program": (f"command: node {F}=false", DOUBT),
}  # fmt: skip


def compose(folder: Path, body: str, *, more: str = "", override: str = "") -> FlagReading:
    (folder / ".env").write_text("RN=0\n")
    lines = "".join(f"    {line}\n" for line in body.split("\n"))
    (folder / "compose.yaml").write_text(f"services:\n  backend:\n{lines}{more}")
    if override:
        (folder / "compose.override.yaml").write_text(f"services:\n  backend:\n    {override}\n")
    return FlagHome(folder / "compose.yaml", WORDS).read()


@pytest.mark.parametrize("case", STARTED)
def test_compose_reads_what_the_command_sets_or_says_that_nobody_can_tell(case: str, tmp_path: Path) -> None:
    body, expected = STARTED[case]
    found = compose(tmp_path, f"{BOTH}\n{body}")
    assert (DOUBT if found.doubts([F]) else found.values.get(F)) == expected, found.said[F]


def test_a_rail_that_only_the_command_sets_is_read_with_its_place(tmp_path: Path) -> None:
    found = compose(tmp_path, f"command: env {F}=false node x.js")
    assert found.values[F] == "false"
    assert found.said[F].where == f"{tmp_path / 'compose.yaml'}:3 command"


def test_a_later_file_has_another_command_and_a_mark_takes_it_away(tmp_path: Path) -> None:
    body = f"{BOTH}\ncommand: env {F}=false node x.js"
    assert compose(tmp_path, body, override="command: node x.js").values[F] == "true"
    assert compose(tmp_path, body, override="command: !reset null").values[F] == "true"
    assert compose(tmp_path, body, override="ports: ['80']").values[F] == "false"


def test_the_options_of_a_proxy_beside_doubt_nothing(tmp_path: Path) -> None:
    proxy = "  proxy:\n    image: traefik\n    command: [--providers.docker=true]\n"
    assert compose(tmp_path, BOTH, more=proxy).values == {F: "true", LIST: "rn"}
    alone = compose(tmp_path, "image: x", more=proxy)
    said = "the command of a service has '--providers.docker=true', which may switch a rail"
    assert alone.doubts([F]) == {F: f"not set in what could be read, and {said}"}


def test_a_pod_is_read_by_its_command_and_arguments_too(tmp_path: Path) -> None:
    def pod(more: str) -> FlagReading:
        text = "kind: Pod\nmetadata: {name: b}\nspec:\n  containers:\n  - name: app\n"
        text += f"    env: [{{name: {F}, value: 'true'}}]\n"
        (tmp_path / "pod.yaml").write_text(f"{text}    {more}\n")
        return FlagHome(tmp_path / "pod.yaml", WORDS).read()

    assert pod(f"command: [env, {F}=false]\n    args: [node]").values[F] == "false"
    assert pod(f"args: [env, '{F}=$({F})', node]").values[F] == "true"
    assert F in pod("args: [--disable-rail, x]").doubts([F])
    assert pod("args: [node, x.js]").values[F] == "true"


def test_words_are_split_as_a_shell_does_and_what_cannot_be_split_stays_whole() -> None:
    assert split_command("a 'b c' d") == ("a", "b c", "d")
    assert split_command("a 'b") == ("a 'b",)
    assert said_in_command((), flags=(F,), file="x", line=1) == {}
    assert said_in_command(("env", "-S", f"{F}=1 node"), flags=(F,), file="x", line=1)[F].value == "1"


def test_a_doubt_about_what_loads_variables_quotes_no_assignment() -> None:
    for words in (("npx", "dotenv", "-v", "KEY=sk_live", "-o", "--", "node"), ("sh", "-c", "eval KEY=sk_live; node x")):
        said = said_in_command(words, flags=(F,), file="c.yaml", line=1)
        assert said[F].doubt and "sk_live" not in said[F].doubt
