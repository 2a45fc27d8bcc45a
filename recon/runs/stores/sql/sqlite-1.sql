-- The tables of recon itself in SQLite, version 1. The first run makes them by itself.
-- The last run that wrote to a row, as run/change; changed in the same transaction as the row.
CREATE TABLE IF NOT EXISTS recon_stamp (
  of_table TEXT NOT NULL,
  row_key TEXT NOT NULL,
  stamp TEXT NOT NULL,
  PRIMARY KEY (of_table, row_key)
) WITHOUT ROWID;

-- What runs tried and did; rows are only ever added, and each text names the hash of the one before.
CREATE TABLE IF NOT EXISTS recon_journal (
  seq INTEGER PRIMARY KEY,
  run TEXT NOT NULL,
  kind TEXT NOT NULL,
  change TEXT,
  payment TEXT,
  hash TEXT NOT NULL,
  text TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS recon_journal_by_run ON recon_journal (run, seq);
CREATE INDEX IF NOT EXISTS recon_journal_by_kind ON recon_journal (kind, seq);

-- Who may write: one row a target, its token only grows.
CREATE TABLE IF NOT EXISTS recon_lease (
  target TEXT PRIMARY KEY,
  token INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  holder TEXT
) WITHOUT ROWID;
