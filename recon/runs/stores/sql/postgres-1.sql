-- The tables of recon itself in PostgreSQL, version 1. Run it as an owner of the database, then grant, for example:
--   GRANT USAGE ON SCHEMA recon TO recon_reader, recon_writer;
--   GRANT SELECT ON ALL TABLES IN SCHEMA recon TO recon_reader;
--   GRANT SELECT, INSERT ON recon.journal TO recon_writer;
--   GRANT SELECT, INSERT, UPDATE ON recon.stamp, recon.lease TO recon_writer;
CREATE SCHEMA IF NOT EXISTS recon;

-- The last run that wrote to a row, as run/change; changed in the same transaction as the row.
CREATE TABLE IF NOT EXISTS recon.stamp (
  of_table text NOT NULL,
  row_key text NOT NULL,
  stamp text NOT NULL,
  PRIMARY KEY (of_table, row_key)
);

-- What runs tried and did; rows are only ever added, and each text names the hash of the one before.
CREATE TABLE IF NOT EXISTS recon.journal (
  seq bigint PRIMARY KEY,
  run text NOT NULL,
  kind text NOT NULL,
  change text,
  payment text,
  hash text NOT NULL,
  text text NOT NULL
);
CREATE INDEX IF NOT EXISTS journal_by_run ON recon.journal (run, seq);
CREATE INDEX IF NOT EXISTS journal_by_kind ON recon.journal (kind, seq);

-- Who may write: one row a target, its token only grows, its time is the server's own.
CREATE TABLE IF NOT EXISTS recon.lease (
  target text PRIMARY KEY,
  token bigint NOT NULL,
  expires_ms bigint NOT NULL,
  holder text
);
