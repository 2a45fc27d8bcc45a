"""The commented configuration that ``recon init`` writes; every line of it is checked by a test."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from recon.sources.providers.installed import providers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from recon.setup.look_around import Surroundings


def example(found: Surroundings | None = None, *, rails: Sequence[str] = ()) -> str:
    """The configuration, with the section of each usual provider; ``<rail>`` in it is the first that has one.

    Args:
        found: What was found out by looking; then its collection, chains and rails stand there.
        rails: Providers that are not usual and whose section stands there as well.
    """
    wanted = {name: each for name, each in providers().items() if each.is_usual or name in rails}
    # Stable: those that are usual come first.
    ordered = sorted(wanted.items(), key=lambda pair: not pair[1].is_usual)
    shown = {name: each for name, each in ordered if each.example}
    secrets = "".join(
        f"#   {variable:<31} {what}\n" for each in shown.values() for variable, what in each.secrets.items()
    )
    sections = "".join(f"[{name}]\n{_section(name, each.example, found)}\n" for name, each in shown.items())
    text = _TEXT.replace("<secrets>\n", secrets).replace("<sections>\n", sections)
    text = text.replace("<rail>", next(iter(shown), "provider"))
    return text if found is None else _told(text, found)


def _section(rail: str, text: str, found: Surroundings | None) -> str:
    """The section of a rail; one that was looked for and not taken is out of scope."""
    if found is None or not found.sampled or rail in found.rails:
        return text
    return _ENABLED.sub("enabled = false", text, count=1) if _ENABLED.search(text) else f"enabled = false\n{text}"


def _told(text: str, found: Surroundings) -> str:
    """The text with the collection or table and the chains that were found instead of those of the example."""
    if "sql" in found.place.sections:
        text = _in_table(text, found.place.sections["sql"])
    place = {"marketplace": found.place.database, "payments": found.place.collection}
    for key, usual in (("database", "marketplace"), ("collection", "payments")):
        text = text.replace(f'{key} = "{usual}"', f"{key} = {json.dumps(place[usual], ensure_ascii=False)}", 1)
    if not found.chain_ids:
        return text
    begin, end = text.index("[[chains]]"), text.index("[merchant]")
    chains = "".join(f"[[chains]]\nchain_id = {chain}\nendpoints = []\n\n" for chain in found.chain_ids)
    return text[:begin] + chains + text[end:]


def _in_table(text: str, section: Mapping[str, Any]) -> str:
    """The text with the section of the table that was found; the rest of that section stays as remarks."""
    begin, end = text.index("[mongo]"), text.index("# Instead of [mongo]")
    text = text[:begin] + text[end:].replace("Instead of [mongo]: payments", "Payments", 1)
    begin, end = text.index("# [sql]\n"), text.index("# url_variable")
    names = {"table": "its ids must be unique by an index", "id": "the column of the ids"}
    said = [f"{key} = {_quoted(section[key]):<30} # {what}" for key, what in names.items()]
    zone = '# time_zone = "UTC"                      # of times that name no zone; such times are not read without it'
    text = text[:begin] + "\n".join(["[sql]", *said, zone, ""]) + text[end:]
    begin, end = text.index("# [sql.columns]\n"), text.index("# [sql.kinds]")
    columns = [f"{_quoted(path)} = {_quoted(column)}" for path, column in section["columns"].items()]
    why = "# Guessed by the names of the columns: compare each. One that is not named stands under its own name."
    return text[:begin] + "\n".join([why, "[sql.columns]", *columns, ""]) + text[end:]


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


_ENABLED: Final = re.compile(r"(?m)^enabled = true")
_TEXT: Final = """\
# Configuration of recon. Every setting can also be given as a variable: RECON_LIMITS__CHANGES_MAX=800
# beats changes_max below. Paths start at the folder of this file. Times are UTC.

# Secrets never stand in this file. They are read from the environment, or from a dotenv file named here:
# secrets_file = ".env"
#   RECON_MONGO_URI                 mongodb://reader:...@host:27017/?authSource=admin   (the role "read" is enough)
#   RECON_SQL_URL                   where the payments stand in a SQL table: see [sql]
<secrets>

[target]
# A name of your own. Plans carry it, so that a plan for production is refused on a copy with another name.
name = "production"

[mongo]
database = "marketplace"
collection = "payments"
# uri_variable = "RECON_MONGO_URI"       # the variable that holds the address
# write_uri_variable = "RECON_MONGO_WRITE_URI"    # only "apply" and "undo" use it; without it the first is taken
# timeout_s = 10

# Instead of [mongo]: payments in a table of PostgreSQL or SQLite, with pip install 'recon-toolkit[sql]'.
# [sql]
# table = "public.payments"              # its ids must be unique by an index
# id = "id"
# time_zone = "UTC"                      # of times that name no zone; or a fixed distance such as "+01:00"
# url_variable = "RECON_SQL_URL"         # holds postgresql://reader:...@host/database or sqlite:///payments.db
# write_url_variable = "RECON_SQL_WRITE_URL"    # only "apply" and "undo" use it; without it the first is taken
# timeout_s = 10
# lag_max_s = 90                         # a standby that is further behind is not believed
# [sql.columns]
# A column stands under its own name, the id under _id; where a payment has it under another path, it is named here.
# "escrowState" = "escrow_state"
# "amount.amount" = "amount"
# "amount.currency" = "currency"
# "blockchain.network" = "network"
# "blockchain.transactionHash" = "tx_hash"
# "createdAt" = "created_at"
# "updatedAt" = "updated_at"
# [sql.kinds]
# What a column holds where its type does not say it: text, objectid, decimal, units_12, bool, date, unix_s, unix_ms,
# json, ejson.
# paid_at = "unix_s"
# [sql.words.status]
# What the backend's own words in a column mean; what is not named here stands for itself.
# confirmed = "completed"
# [sql.constants]
# What is so of every payment and stands in no column.
# provider = "<rail>"

[fields]
# Where a logical field is looked for in a payment document, in order; the first that is there wins. What is not
# named here keeps its usual places. "<rail>:path" counts only on rows of that provider.
# request_id = ["metadata.requestNetwork.requestId", "requestId"]
# external_id = ["metadata.externalId", "<rail>:_id"]
# A backend that has no such thing at all says so with an empty list; then it is neither read nor written.
# confirmations = []

[window]
# Which payments are read when the command line names no window: the last hours, by this date. 0 is all.
hours = 24
date = "created"                         # or "updated"

<sections>
# One part for each chain. Endpoints are asked in order; ${NAME} stands for a secret of that name. A chain without
# endpoints is in scope and its payments stay unproven, unless policy lets the provider's word count there.
[[chains]]
chain_id = 56
endpoints = ["https://bsc-dataseed.bnbchain.org", "https://bsc.example/${BSC_NODE_KEY}"]
confirmations_min = 12                   # the backend's own minimum; finality of the chain counts besides

[[chains]]
chain_id = 8453
endpoints = ["https://mainnet.base.org"]

[[chains]]
chain_id = 137
endpoints = []

[merchant]
# Our own addresses. Money that comes to them and that no payment knows is reported as missing_local.
recipients = []
# Where a payment's fee may go; while it is empty, fees are not judged.
fee_recipients = []
# Wallets that payouts leave from, besides those that proven payouts came from. Money that leaves them and that no row
# explains is reported as unexplained_outflow.
payout_wallets = []

[balances]
# For the wallets above: what they held, and every movement that a row, a fee or a rule explains, make what they hold.
enabled = true
# A movement that no payment stands behind, and why; it is no break then.
# [[balances.explained]]
# address = "0x0000000000000000000000000000000000000003"      # the other side
# chain_id = 56                          # chain, token, wallet and direction may be left out: then it means every one
# token = "USDC"
# wallet = "0x0000000000000000000000000000000000000004"
# direction = "out"                      # or "in"
# reason = "weekly sweep to the treasury"

# [failures]
# "recon doctor" warns when more payments of the last minutes failed for one reason than this share, and than before.
# field = "error_code"                   # where the backend keeps the reason
# window_min = 60
# share_max_percent = 10

# A wallet that pays for what is sent on a chain: "recon doctor" warns when it holds less of the chain's own coin than
# one line, and fails below the other.
# [[reserves]]
# chain_id = 8453
# address = "0x0000000000000000000000000000000000000005"
# token = "USDC"                         # without it the chain's own coin
# warn_below = "0.3"
# critical_below = "0.03"

# Tokens and contracts the registry does not know. USDC and USDT on chains 1, 56, 137, 8453 and 42161 are known.
# [[tokens]]
# chain_id = 56
# address = "0x0000000000000000000000000000000000000001"
# symbol = "TST"
# decimals = 18
# aliases = ["TST-bsc"]  # other words for it in rows and at providers
# may_take_fee = false                     # its contract cannot keep a part of what is sent: no need to measure
#
# [[emitters]]
# chain_id = 56
# address = "0x0000000000000000000000000000000000000002"
# kind = "fee_proxy"

[policy]
confirmations_min_default = 12
confirmed_means_completed = true         # "confirmed" where the backend means "completed" is corrected
stuck_after_min = 30
urgent_after_h = 24
abandoned_after_days = 30                # for open payments without an expiry date
clock_skew_s = 300
provider_proves = []                     # ["<rail>:137"]: the provider's "paid" is proof on this rail
# tolerance_ppm = { <rail> = [50000, 50000] }    # millionths below and above the expected amount

# dust = { USDT = "0.01", USDC = "0.01" }          # less than this is counted apart and is no break; 0.01 if not stated

# What a person should know before agreeing to changes of a verdict.
# [policy.side_effects]
# local_behind = ["the buyer is not mailed", "no ledger entry is written"]

[limits]
# An apply that would go past one of these is refused; the option that raises it is named then.
changes_max = 500
share_max_percent = 30
share_max_from_rows = 10
refusals_max = 3                         # rows that moved at the moment of their write, or 2 % if that is more
refusals_max_percent = 2
plan_age_max_h = 4
clock_off_max_s = 30                     # how far this machine's clock may be off the database server's
# value_max = { USDC = "50000", USDT = "50000" }
# value_max_per_payment = { USDC = "5000" }

[health]
unproven_share_max_percent = 5

[approvals]
approvals_min = 0                        # 0, 1 or 2 people
flags_min = 0                            # the same for flag plans
author_may_approve = true
# two_person_above = { USDC = "10000" }
valid_h = 24                             # how long an approval holds
# With a file of allowed signers (git's format, as in gpg.ssh.allowedSignersFile) an approval, an acknowledgement, a
# sign-off of a sample, the author of a plan and who applies flags count only if signed with an SSH key of that file.
# allowed_signers = "allowed_signers"
# revoked_signers = "revoked_keys"
# signing_key = "~/.ssh/id_ed25519"      # or its .pub, where an agent or a hardware key has the private half
# kept_in = "database"                   # decisions stand beside the payments, the same for people at several machines

# [incident]
# style = "marketplace"                  # or "pay-app", "billing", "monero": severities, rhythms, deadlines, headings

# [flags]
# Where the backend's own flags are, for "recon flags". A dotenv file is written; of a Compose file, a manifest, a
# kustomization or Helm's files, which are read with all that they name, the change is printed as a patch.
# kind = "auto"                          # or "dotenv", "compose", "kubernetes", "configmap", "kustomize", "helm"
# file = "/opt/backend/.env"             # a file; for kustomize and a Helm chart also the folder
# overrides = ["compose.prod.yaml"]      # further Compose, manifest or values files, each laid over those before it
# service = "backend"                    # the service, workload or container, where several set flags
# configmap = "payments"                 # the ConfigMap, where several set flags
# reader = "every"                       # whose reading of dotenv counts: "npm-dotenv", "python-dotenv", "compose",
                                         # "docker"; "every" believes only what the first three agree on
# restart = ["docker", "compose", "up", "-d", "backend"]
# plan_age_max_h = 4
# spellings = { <rail> = "another-name" }          # how this backend writes a rail's name
# extra_providers = ["escrow"]
# extra_flags = {}
# defaults = { PROVIDER_ENABLED = "true" }         # what the backend takes a flag for that is not set
# rail_switches = { <rail> = "PROVIDER_ENABLED" }
# secrets = ["PROVIDER_API_KEY"]         # must be present in the backend's environment; never shown
# health = { <rail> = { url = "https://provider.example/health" } }
# readback = [{ url = "https://backend.example/health", values = { PAYMENT_PROVIDER_MODE = "payments.mode" } }]
# checkout = { <rail> = { url = "https://backend.example/api/payment/providers" } }
# recipes = { quiet = { title = "No new intents", set = { PAYMENT_ENABLED_PROVIDERS = "{safe}" } } }

# [gates]
# Thresholds of "recon gates". The two that the runbooks leave open must be set before their criteria can pass.
# health_checks_min = 2
# health_check_gap_s = 60
# health_check_age_max_min = 60
# webhook_quiet_h = 24
# dead_letter_stable_h = 2
# dead_letter_growth_max = 0
# mismatch_below_percent = "0.5"
# samples_min = 1000
# sample_rows_min = 10
# sample_operators_min = 2
# sample_age_max_h = 168
# clean_windows_min = 2
# clean_window_h = 24
# dry_run_age_max_h = 4
# escalate_after_min = 10
# run_gap_max_min = 60
# invariant_violations_max = 0
# webhook_burst_min = 15
# webhook_burst_failures_max = 20
# chain_mismatch_percent_max = "1"

# [backfill]
# What "recon backfill" inserts under metadata.providers of legacy payments that a gateway of funds accounts took.
# reference = "funds:{order_id}:{currency}"
# note = "legacy SHKeeper payment, mapped by recon backfill"

# [repair]
# Whether "recon repair" may put whole rows in, the one exception to "never inserts". Rows that are missing are made of
# constants and of {names} of the evidence, and of what only a person knows (asks).
# insert = true
# [repair.missing]
# asks = ["buyer", "order", "offer"]
# optional = ["metadata.requestNetwork.requestId"]
# [repair.missing.fields]
# status = "pending"
# "amount.amount" = "{amount}"
# "metadata.requestNetwork.requestId" = "{request_id}"
# buyerId = "{buyer}"
# [repair.missing.kinds]
# "amount.amount" = "double"
# buyerId = "objectid"

# [hold]
# Where the backend keeps holds on release and payout: true while a row is held. "recon hold" puts and lifts them.
# field = "metadata.manualHold"
# collection = "payments"
# reason = "metadata.holdReason"
# ticket = "metadata.holdTicket"
# until = "metadata.holdUntil"
# by = "metadata.holdBy"
# disputes = ["disputed", "disputeId"]
# guarded = ["status", "escrowState"]
# keys = { payment = "_id", deal = "purchaseRequestId" }

# [ledger]
# The backend's ledger, one document an entry. With a collection, "recon apply" names payments that become funded and
# whose ledger lacks the pay-in: their release will be refused.
# collection = "ledgerentries"
# payment_field = "paymentId"
# kind_field = "type"
# pay_in_kinds = ["gross_paid"]
# With amount_field its entries are read into every snapshot and judged: "recon ledger check". Paths that are not set
# are not looked at; kinds and accounts are tables by gross, fee, held, released, refunded and adjustment.
# amount_field = "amount"
# deal_field = "purchaseRequestId"
# account_field = "account"
# chain_field = "network"
# token_field = "currency"
# side_field = "direction"
# time_field = "createdAt"
# reverses_field = "reversalOf"
# group_field = "batch"
# by_field = "createdBy"
# append = false
# key_field = "idempotencyKey"
# reason_field = "note"
# token_as = "symbol"
# books = "single"
# amount_in = "whole"
# signs = "kind"
# debit_words = ["debit"]
# credit_words = ["credit"]
# kinds = { fee = ["provider_fee", "platform_fee"] }
# accounts = { gross = ["cash"], fee = ["fees"] }
# grace_min = 30

# [explorers]
# Where transactions and addresses are looked at, by chain; those of the known chains are known. "/tx/<hash>" and
# "/address/<address>" are added; an explorer with other pages is written out.
# 56 = "https://bscscan.com"
# tron = { tx = "https://tronscan.org/#/transaction/{hash}", address = "https://tronscan.org/#/address/{address}" }

# [statements]
# Bank statements and exports that prove payments in place of a provider's API: a file of [[claims]] as "recon import"
# has them, each with its provider.
# mapping = "statements.toml"

# [deliveries]
# Where webhook deliveries are kept: NDJSON files or directories of them, a collection of the database, or both. A
# snapshot then holds those of its window, and inspections, timelines and triage look at them without being told to.
# files = ["/var/lib/ingress/deliveries", "dead-letters.ndjson"]
# collection = "webhook_deliveries"
# [deliveries.fields]
# Where a field stands in records of your own make, by name or by a path with points; tried before the usual names.
# http_status = ["answer.code"]
# raw_body = ["incoming.bytes"]

# [watch]
# "recon watch": when the window above is judged, and from where on it speaks. It never writes a payment.
# schedule = "every 5min"                # or five cron words, in UTC: "*/15 * * * *"
# jitter_s = 20                          # each round begins up to so much later
# whole_every_h = 168                    # between whole rounds only what can have changed is read
# deadline_min = 30
# look_every_s = 30                      # between rounds the open payments are counted
# back_off_max_min = 30
# lease = "database"                     # keeps a watch on another machine out as well; its login must write
# keep_days = 14                         # snapshots and plans, but those that a run or an approval names
# keep_rounds_min = 20
# keep_rounds_max = 5000
# new_within_min = 60                    # a break is new for so long
# captured_min = 30                      # money came and is not credited
# pending_min = 30
# stuck_share_percent = 5                # stuck of all payments, and rising over so many rounds
# stuck_rising_rounds = 6
# failure_window_min = 60                # failed of the newest payments of a rail, and how many times its usual share
# failure_share_percent = 10
# failure_times = 3
# silence_min = 60                       # payments and no webhook
# burst_window_min = 15                  # webhooks that failed
# burst_failures_max = 10
# down_rounds_critical = 3               # a source that is away for so many rounds is critical
# lag_min = 15                           # the newest block of a chain is older
# blocked_min = 10
# gates_of = ["<rail>"]                  # rails that wait for their gates to open again
# days_left_min = 3                      # what a reserve still lasts
# undecided_h = 4                        # changes that nobody applied
# late_min = 10                          # the watch itself
#
# Instead of the one window: several, each by its own schedule.
# [[watch.windows]]
# name = "month"
# hours = 720
# schedule = "0 3 * * *"

# [alerts]
# Who is told of what "recon watch" sees. "recon watch test-alert" tries every channel.
# time_zone = "Europe/Berlin"            # of the times of day below
# quiet_from = "22:00"                   # until quiet_to only what is urgent is told
# quiet_to = "07:00"
# quiet_below = "critical"
# summary_at = "08:00"                   # "" for none
# update_every_min = 60                  # how often a situation that changes is told again
# timeout_s = 10
# Slack, Teams, Discord, Telegram, mail, webhooks: whatever apprise knows.
# [[alerts.channels]]
# name = "chat"
# secret_variable = "RECON_ALERT_CHAT"   # holds the address, such as slack://TokenA/TokenB/TokenC
# urgency_min = "warning"
# rules = ["*"]
# summary = true
# shows_payments = false                 # ids of payments stand in its messages
# [[alerts.channels]]
# name = "pager"
# kind = "pagerduty"                     # or "opsgenie"; secret_variable holds the routing key, or the API key
# secret_variable = "RECON_ALERT_PAGER"
# base_url = "https://events.eu.pagerduty.com"
# urgency_min = "critical"

# [page]
# Who may look at the page of "recon watch --listen" from another machine; without one of both nobody may.
# token_variable = "RECON_PAGE_TOKEN"
# proxy_header = "X-Recon-Proxy"         # set by a reverse proxy on what it has let in
# proxy_secret_variable = "RECON_PAGE_PROXY"
# refresh_s = 10
# open_measures = false                  # true: /metrics beyond this machine asks for neither

# [traces]
# Where traces of rounds are sent, by OTLP over HTTP, with pip install 'recon-toolkit[otel]'.
# endpoint = "http://127.0.0.1:4318/v1/traces"
# token_variable = "RECON_TRACES_TOKEN"
# timeout_s = 5

# [recorded]
# A recorded world instead of every source, offline.
# path = "."

[output]
# Snapshots, plans and the run history.
dir = "recon-out"
mode = "0600"                            # rights of new files; "0640" lets a group read them
"""
