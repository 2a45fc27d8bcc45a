-- The tables of recon itself in SQLite, version 2: what people decided, for a configuration that keeps it in the
-- database ([approvals] kept_in = "database"). The first decision makes them by itself.
-- Approvals, acknowledgements, sign-offs and authors; each text begins with its digest and is never changed.
CREATE TABLE IF NOT EXISTS recon_decision (
  name TEXT PRIMARY KEY,
  text TEXT NOT NULL
) WITHOUT ROWID;
