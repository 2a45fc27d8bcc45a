"""An address cannot lower what a run rests on, and doctor tells what the logins may do."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest
from pymongo import MongoClient, ReadPreference

from recon.runs.stores.journal import MongoJournal
from recon.setup.settings import load_settings
from recon.setup.stores.mongo import privileges
from recon.setup.stores.mongo.client import LoweredConcernError, check_concerns, mongo_client
from recon.setup.stores.mongo.privileges import audit, writable_places
from recon.sources.payments.address import UnreadOptionError
from tests.support import servers

ACTIONS = ["find", "insert", "update", "createIndex"]


@pytest.mark.parametrize(
    "options",
    ["w=1", "w=0", "w=2", "w=tag", "W=1", "journal=false", "j=false", "readConcernLevel=local", "wtimeoutMS=5",
     "readPreference=secondary", "readPreference=primaryPreferred", "w=majority&journal=false", "appName=x&w=1", "w="],
)  # fmt: skip
def test_an_address_that_lowers_a_concern_is_refused_by_name(options: str) -> None:
    with pytest.raises(LoweredConcernError, match="nothing was written") as refused:
        check_concerns(f"mongodb://user:s3cret@db1,db2/market?{options}")
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "uri",
    ["mongodb://h/", "mongodb://h/?w=majority", "mongodb://h/?w=majority&journal=true&readPreference=primary",
     "mongodb+srv://h/db?retryWrites=true&readConcernLevel=majority"],
)  # fmt: skip
def test_an_address_that_lowers_nothing_is_taken(uri: str) -> None:
    check_concerns(uri)


@pytest.mark.parametrize(
    "option",
    ["tls=yes", "ssl=1", "tsl=true", "authMechanism=SCRAM", "maxPoolSize=-3", "readPreference=nearby",
     "tlsAllowInvalidCertificates=maybe"],
)  # fmt: skip
def test_an_option_that_would_be_left_out_is_refused_by_name(option: str) -> None:
    name = option.partition("=")[0]
    with pytest.raises(UnreadOptionError, match=f'option "{name}"') as refused:
        mongo_client(f"mongodb://u:sesame@h/db?{option}", timeout_ms=1)
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize(
    "options", ["tls=true", "useNewUrlParser=true&useUnifiedTopology=true&retryWrites=true", "", "w=majority"]
)
def test_options_that_are_read_or_of_another_driver_are_taken(options: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mongo_client(f"mongodb://h/db?{options}", timeout_ms=1).close()


def test_the_journal_is_read_from_the_primary_whatever_the_address_says() -> None:
    client: MongoClient[dict[str, object]] = MongoClient("mongodb://h/?readPreference=secondary&w=1", connect=False)
    for collection in (MongoJournal(client["m"])._collection, MongoJournal(client["m"]).leases._collection):  # type: ignore[attr-defined]
        assert collection.read_preference == ReadPreference.PRIMARY
        assert collection.write_concern.document == {"w": "majority"}
        assert collection.read_concern.level == "majority"


def test_privileges_name_where_may_be_written() -> None:
    assert writable_places([{"resource": {"db": "m", "collection": ""}, "actions": ["find"]}]) == ()
    assert writable_places([
        {"resource": {"db": "m", "collection": ""}, "actions": ["find", "insert"]},
        {"resource": {"db": "", "collection": "c"}, "actions": ["remove"]},
        {"resource": {"anyResource": True}, "actions": ["anyAction"]},
    ]) == ("*.*", "*.c", "m.*")  # fmt: skip


class Silent:
    """A service that speaks the protocol and leaves out what its logins may do."""

    admin = property(lambda self: self)

    def command(self, name: str, **options: object) -> dict[str, object]:
        return {"ok": 1, "authInfo": {"authenticatedUsers": [{"user": "reader", "db": "admin"}]}}

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *error: object) -> None:
        pass


def test_what_a_server_does_not_say_of_its_logins_is_not_taken_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "recon.toml").write_text('[mongo]\ndatabase = "market"\n')
    monkeypatch.setenv("RECON_MONGO_URI", "mongodb://reader:pw@127.0.0.1/")
    monkeypatch.setattr(privileges, "mongo_client", lambda uri, timeout_ms: Silent())
    ((state, text),) = audit(load_settings(tmp_path / "recon.toml"))
    assert (state, "does not say what a login may do" in text) == ("warning", True)


def test_a_server_that_asks_for_no_login_is_told(
    tmp_path: Path, mongod: servers.Mongod, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "recon.toml").write_text('[mongo]\ndatabase = "market"\n')
    monkeypatch.setenv("RECON_MONGO_URI", mongod.uri)
    ((state, text),) = audit(load_settings(tmp_path / "recon.toml"))
    assert (state, "everybody who reaches it may write" in text) == ("warning", True)


def test_doctor_audits_both_logins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = servers.start_mongod(auth=True)
    try:
        reader = server.create_user("reader", "pw-r", database="market", role="read")
        writer = server.create_user("writer", "pw-w", database="market", role="readWrite")
        with server.client() as client:
            own = [
                {
                    "resource": {"db": "market", "collection": name},
                    "actions": ["find", "insert", "update", "createIndex"],
                }
                for name in ("payments", "recon_journal", "recon_lease")
            ]
            client["market"].command("createRole", "recon", privileges=own, roles=[])
        narrow = server.create_user("narrow", "pw-n", database="market", role="recon")
        (tmp_path / "recon.toml").write_text('[mongo]\ndatabase = "market"\n')

        def said(read: str, write: str) -> list[tuple[str, str]]:
            monkeypatch.setenv("RECON_MONGO_URI", read)
            monkeypatch.setenv("RECON_MONGO_WRITE_URI", write)
            return list(audit(load_settings(tmp_path / "recon.toml")))

        assert [state for state, _ in said(reader, narrow)] == ["ok", "ok"]
        (_, wide) = said(reader, writer)
        assert (wide[0], "may write to market.*" in wide[1]) == ("warning", True)
        (only,) = said(writer, writer)
        assert only[1].startswith("The login that reads may write to market.*")
        nobody = re.sub(r"//[^@/]*@", "//", reader).partition("?")[0]
        ((state, text),) = said(nobody, nobody)
        assert (state, "no login and the server asks for one" in text) == ("warning", True)
    finally:
        server.stop()
