"""A statement of what was reconciled, as people read it: who says it, about what, on which premises, what result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from recon.core.people import Signer
from recon.reports.model import Column, Fact, Report, Table
from recon.reports.text import amount_text, chain_text


def render_attestation(statement: Mapping[str, Any], *, path: str, signer: Signer | None = None,
                     held: Iterable[str] = ()) -> Report:  # fmt: skip
    """A statement.

    Args:
        signer: Who signed, where that was checked; None where the statement was only just made.
        held: Which artefacts were held against it, and are those.
    """
    predicate = statement["predicate"]
    facts = (*_said_by(predicate, path=path, signer=signer, held=held), *_about(predicate))
    tables = (
        _digests(statement),
        _verdicts(predicate),
        _sums(predicate),
        _lines("premises", "Premises", predicate.get("premises", ())),
    )
    return Report("statement", "Statement of what was reconciled", facts, tables, tuple(_steps(path, signer)))


def _said_by(predicate: Mapping[str, Any], *, path: str, signer: Signer | None, held: Iterable[str]) -> Iterator[Fact]:
    yield Fact("file", "file", path)
    if signer is not None:
        yield Fact("checked", "signature", "holds; nothing in it was changed")
        yield Fact("signer", "signed by", ", ".join(signer.principals))
        yield Fact("key", "with key", signer.key, "id")
    for what in held:
        yield Fact("held", "held against", f"{what}: it is the one")
    yield Fact("made_at", "made", str(predicate.get("made_at")), "time")
    yield Fact("made_by", "by", str(predicate.get("made_by")))


def _about(predicate: Mapping[str, Any]) -> Iterator[Fact]:
    about, run = predicate.get("about", {}), predicate.get("run")
    target = about.get("target", {})
    window = about.get("window", {})
    yield Fact("about", "about", f"a {about.get('kind')} ({about.get('plan_kind')})")
    yield Fact("target", "target", f"{target.get('name')}: {target.get('database')}.{target.get('collection')}")
    yield Fact("window", "window", f"{window.get('from') or 'open'} to {window.get('to') or 'open'}")
    whole = bool(predicate.get("coverage", {}).get("read_whole"))
    yield Fact("read_whole", "evidence", "read whole" if whole else "NOT READ WHOLE: see the premises", alarm=not whole)
    results = predicate.get("results", {})
    for name in ("payments", "payments_in_scope", "payments_compared"):
        if name in results:
            yield Fact(name, name.replace("_", " "), str(results[name]), "count")
    if run is not None:
        yield Fact("run", "run", str(run.get("run")), "id")
        ended = bool(run.get("has_ended"))
        yield Fact("state", "state of the run", str(run.get("state")), alarm=not ended)
        rows = " ".join(f"{name}:{count}" for name, count in run.get("rows", {}).items())
        yield Fact("rows", "rows of the run", rows or "none")
    journal = predicate.get("journal", {})
    yield Fact("journal", "journal ends at", f"entry {journal.get('seq')} of {journal.get('journal')}")


def _digests(statement: Mapping[str, Any]) -> Table:
    rows = tuple((str(each["name"]), str(each["digest"].get("sha256"))) for each in statement["subject"])
    return Table("digests", "Digests", (Column("what", "what"), Column("sha256", "sha256", "id")), rows)


def _verdicts(predicate: Mapping[str, Any]) -> Table:
    counts = predicate.get("results", {}).get("verdicts", {})
    rows = tuple((str(name), str(count)) for name, count in counts.items())
    columns = (Column("verdict", "verdict", "verdict"), Column("payments", "payments", "count"))
    return Table("verdicts", "Results by verdict", columns, rows, empty="none")


def _sums(predicate: Mapping[str, Any]) -> Table:
    columns = (
        Column("what", "what"), Column("verdict", "verdict", "verdict"), Column("tier", "tier", "tier"),
        Column("rows", "rows", "count"), Column("sums", "sums", "amounts"),
    )  # fmt: skip
    rows = [
        (what, str(each["verdict"]), str(each["tier"]), str(each["rows"]), ", ".join(_amounts(each["value"])))
        for what, name in (("break", "breaks"), ("correction", "corrections"))
        for each in predicate.get(name, ())
    ]
    run = predicate.get("run")
    if run is not None:
        count = sum(run.get("written_by_verdict", {}).values())
        rows.append(("written by the run", "", "", str(count), ", ".join(_amounts(run.get("written", {})))))
    none = "no break and no correction"
    is_whole = bool(predicate.get("coverage", {}).get("read_whole"))
    return Table("sums", "Sums", columns, tuple(rows), empty=none if is_whole else f"{none}, of what could be read")


def _amounts(value: Mapping[str, Any]) -> Iterator[str]:
    for token, each in value.items():
        chain = chain_text(token.partition(":")[0])
        yield f"{amount_text(int(each['units']), decimals=each['decimals'], symbol=each['symbol'])} on {chain}"


def _lines(name: str, title: str, lines: Iterable[str]) -> Table:
    return Table(name, title, (Column("line", "", "prose"),), tuple((str(line),) for line in lines), empty="none")


def _steps(path: str, signer: Signer | None) -> Iterator[str]:
    if signer is None:
        yield f"Anyone checks it offline with the public key: recon attest verify {path} --public-key KEY.pub"
