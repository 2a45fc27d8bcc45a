"""What only looks like a dotenv file is neither believed nor written."""

from __future__ import annotations

from pathlib import Path

import pytest

from recon.rails.flags.dotenv import edits_for, read_dotenv
from recon.rails.flags.errors import FlagFileError
from recon.rails.flags.places import FlagHome
from recon.rails.flags.words import FlagWords

FLAG = "REQUEST_NETWORK_ENABLED"
ON = f"{FLAG}=true\n"

FOREIGN = {
    "a unit of systemd": ("backend.conf", f'[Service]\nEnvironment="{FLAG}=true"\n'),
    "two environments of Wrangler": ("w.env", f'[vars]\n{FLAG} = "true"\n[env.staging.vars]\n{FLAG} = "false"\n'),
    "TOML by its name": ("fly.toml", f'{FLAG} = "true"\n'),
    "Supervisor": ("s.conf", f'[program:backend] ; web\nenvironment={FLAG}="true"\n'),
    "a recipe of an image": ("backend.build", f"FROM node:20 AS run\nENV {FLAG}=true\n"),
    "a Dockerfile by its name": ("Dockerfile.prod", f"ENV {FLAG} true\n"),
    "processes": ("Procfile", f"web: {FLAG}=true node server.js\n"),
    "blocks in braces": ("job.conf", f'task "t" {{\n  env {{\n    {FLAG} = "true"\n  }}\n}}\n'),
    "a merge conflict": (".env", f"<<<<<<< HEAD\n{FLAG}=true\n=======\n{FLAG}=false\n>>>>>>> main\n"),
    "a branch of a shell": ("env", f'if [ "$STAGE" = prod ]; then\nexport {FLAG}=true\nfi\n'),
    "a condition of a shell": ("env", ON + f"[ -f local ] && export {FLAG}=false\n"),
    "a script": ("run", "#!/bin/sh\nexport " + ON),
    "another file": ("env", ON + ". ./prod.env\n"),
    "taken away": ("env", ON + f"unset {FLAG}\n"),
    "several on a line": ("env", f"export A=1; export {FLAG}=true\n"),
    "an encrypted environment": ("env", 'DOTENV_VAULT_PRODUCTION="abc"\n'),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_is_no_dotenv_file_concludes_nothing_and_is_not_written(kind: str, tmp_path: Path) -> None:
    name, text = FOREIGN[kind]
    path = tmp_path / name
    path.write_text(text)
    reading = FlagHome(path, FlagWords(), kind="dotenv").read()
    assert "no dotenv file" in reading.doubts([FLAG])[FLAG]
    assert FLAG not in reading.values
    with pytest.raises(FlagFileError, match="no dotenv file"):
        edits_for(read_dotenv(text.encode(), path=str(path)), {FLAG: "false"})


def test_a_reader_that_is_named_decides_what_it_reads() -> None:
    text = read_dotenv(("[vars]\n" + ON).encode(), path="a.toml", reader="npm-dotenv")
    assert text.values[FLAG] == "true"


@pytest.mark.parametrize(
    "text",
    [
        'KEY="\n[section]\nif [ -f x ]; then\nfi\n"\n',
        "# [section]\n#!comment\n",
        'LIST=[a,b]\nJSON={"a": 1}\nURL=postgres://u:p;x=1@h\n',
        "IF=1\nDO=2\nSOURCE=web\nEXPORT=x\nFROM=noreply@example\n",
        "-----BEGIN KEY-----\nMIIabc=\n-----END KEY-----\n",
        "TITLE==== ours ====\nOPEN={\n",
        "for help call us\nif in doubt: ask\ndone deal\n",
    ],
)
def test_signs_inside_values_and_words_that_resemble_them_are_none(text: str) -> None:
    assert read_dotenv((text + ON).encode()).foreign == ""
    assert read_dotenv((text + ON).encode()).values[FLAG] == "true"
