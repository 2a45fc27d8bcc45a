-- The tables of recon itself in PostgreSQL, version 2: what people decided, for a configuration that keeps it in the
-- database ([approvals] kept_in = "database"). Run it as an owner of the database, then grant, for example:
--   GRANT USAGE ON SCHEMA recon TO recon_writer;
--   GRANT SELECT, INSERT ON recon.decision TO recon_writer;
-- "recon watch" takes the notes of who made a plan away with the plan; for that it needs DELETE as well.
CREATE SCHEMA IF NOT EXISTS recon;

-- Approvals, acknowledgements, sign-offs and authors; each text begins with its digest and is never changed.
CREATE TABLE IF NOT EXISTS recon.decision (
  name text PRIMARY KEY,
  text text NOT NULL
);
