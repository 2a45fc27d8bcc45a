"""Bank statements to read, as banks write them."""

from __future__ import annotations


def part(amount: str, reference: str, text: str) -> str:
    """One payment of a batch; without an amount where none is given."""
    own = f'<Amt Ccy="EUR">{amount}</Amt>' if amount else ""
    remittance = f"<RmtInf><Ustrd>{text}</Ustrd></RmtInf>"
    return f"<TxDtls><Refs><EndToEndId>{reference}</EndToEndId></Refs>{own}{remittance}</TxDtls>"


def entry(
    amount: str,
    *,
    mark: str = "CRDT",
    reversal: bool = False,
    state: str = "BOOK",
    currency: str = "EUR",
    reference: str = "NOTPROVIDED",
    text: str = "",
    parts: tuple[str, ...] = (),
) -> str:
    """One entry of a camt.053 statement."""
    details = "".join(parts) or (
        f"<TxDtls><Refs><EndToEndId>{reference}</EndToEndId></Refs><RltdPties><Dbtr><Nm>Bob</Nm></Dbtr>"
        "<DbtrAcct><Id><IBAN>DE11</IBAN></Id></DbtrAcct></RltdPties>"
        f"<RmtInf><Ustrd>{text}</Ustrd></RmtInf></TxDtls>"
    )
    return (
        f'<Ntry><Amt Ccy="{currency}">{amount}</Amt><CdtDbtInd>{mark}</CdtDbtInd>'
        f"{'<RvslInd>true</RvslInd>' if reversal else ''}<Sts>{state}</Sts>"
        "<BookgDt><Dt>2026-11-20</Dt></BookgDt><ValDt><Dt>2026-11-21</Dt></ValDt>"
        f"<NtryDtls>{details}</NtryDtls></Ntry>"
    )


def camt(
    *entries: str,
    closing: str,
    opening: str = "100.00",
    name: str = "S-1",
    day: str = "2026-11-20",
    version: str = "08",
) -> bytes:
    """A camt.053 message with one statement."""

    def balance(kind: str, amount: str) -> str:
        return (
            f'<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">{amount}</Amt>'
            f"<CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>{day}</Dt></Dt></Bal>"
        )

    return (
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version}"><BkToCstmrStmt>'
        f"<GrpHdr><MsgId>M</MsgId></GrpHdr><Stmt><Id>{name}</Id><Acct><Id><IBAN>DE89</IBAN></Id></Acct>"
        f"{balance('OPBD', opening)}{balance('CLBD', closing)}{''.join(entries)}</Stmt></BkToCstmrStmt></Document>"
    ).encode()


def mt940(
    *lines: tuple[str, str, str], closing: str, opening: str = "100,00", number: str = "12/1", day: str = "261120"
) -> bytes:
    """An MT940 statement; each line is mark and amount, the payer's reference, and the details."""
    text = "".join(
        f":61:{day}{day[2:]}{amount}NTRF{reference}//B{place}{number.replace('/', '')}\n:86:{details}\n"
        for place, (amount, reference, details) in enumerate(lines)
    )
    head = f":20:STMT\n:25:DE89\n:28C:{number}\n:60F:C261119EUR{opening}\n"
    return f"{head}{text}:62F:C{day}EUR{closing}\n-\n".encode()
