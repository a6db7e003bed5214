-- Roles and databases of the stack. psql runs this as the superuser on the database `postgres`: Docker's image when it
-- makes the data directory, the embedded runtime whenever the passwords changed. Safe to run again; it then changes
-- nothing but the passwords, which become those given in the environment.
--
--   jeex_owner  owns the database `jeex` and migrates it; never serves a request
--   jeex_app    serves requests; row-level security binds it, for it owns nothing and may bypass nothing
--   jeex_admin  tenant administration: sees every tenant, but a tenant's rows only once bound to it
--   jeex_logins makes short-lived members of jeex_app and jeex_admin for Vault; acts as neither
--   jeex_vault  owns the database `jeex_vault`, where Vault keeps its storage
--
-- Plain psql of PostgreSQL 16 or newer, no extension.

\set ON_ERROR_STOP on
\set QUIET on

-- No password may reach the server's log, whatever is logged and whatever fails.
SET log_statement = 'none';
SET log_min_error_statement = 'panic';
SET log_min_duration_statement = -1;
SET client_min_messages = 'warning';

\getenv owner_password JEEX_DB_OWNER_PASSWORD
\getenv app_password JEEX_DB_APP_PASSWORD
\getenv admin_password JEEX_DB_ADMIN_PASSWORD
\getenv logins_password JEEX_DB_LOGINS_PASSWORD
\getenv vault_password JEEX_DB_VAULT_PASSWORD

-- A missing variable would otherwise become the text ':owner_password'; an empty password would lock the role out.
SELECT (:{?owner_password} AND :{?app_password} AND :{?admin_password} AND :{?logins_password} AND :{?vault_password})
    AS complete \gset
\if :complete
  SELECT '' NOT IN (:'owner_password', :'app_password', :'admin_password', :'logins_password', :'vault_password')
    AS complete \gset
\endif
\if :complete
\else
  DO $$ BEGIN
    RAISE 'JEEX_DB_OWNER_PASSWORD, JEEX_DB_APP_PASSWORD, JEEX_DB_ADMIN_PASSWORD, JEEX_DB_LOGINS_PASSWORD and '
      'JEEX_DB_VAULT_PASSWORD must be set';
  END $$;
\endif

-- All roles or none: a crash halfway leaves nothing behind.
BEGIN;
SET LOCAL password_encryption = 'scram-sha-256';
SELECT format('CREATE ROLE %I', name)
  FROM unnest(ARRAY['jeex_owner', 'jeex_app', 'jeex_admin', 'jeex_logins', 'jeex_vault']) AS name
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec
-- Written out even where they are the defaults: a role that was changed by hand is put right.
ALTER ROLE jeex_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'owner_password';
ALTER ROLE jeex_app   LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'app_password';
ALTER ROLE jeex_admin LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'admin_password';
ALTER ROLE jeex_logins LOGIN NOSUPERUSER NOCREATEDB CREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'logins_password';
ALTER ROLE jeex_vault LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'vault_password';
-- It gives the two roles to logins that it makes, without having what they have; and ends the sessions of those that it drops.
GRANT jeex_app, jeex_admin TO jeex_logins WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;
GRANT pg_signal_backend TO jeex_logins;
-- Limits belong to the role, not to a session: they hold behind a transaction pooler too.
ALTER ROLE jeex_app   SET statement_timeout = '30s';
ALTER ROLE jeex_app   SET idle_in_transaction_session_timeout = '60s';
ALTER ROLE jeex_admin SET statement_timeout = '60s';
ALTER ROLE jeex_admin SET idle_in_transaction_session_timeout = '60s';
-- What it sends has the passwords of the logins that it makes.
ALTER ROLE jeex_logins SET log_statement = 'none';
ALTER ROLE jeex_logins SET log_min_error_statement = 'panic';
ALTER ROLE jeex_logins SET log_min_duration_statement = -1;
COMMIT;

-- CREATE DATABASE cannot run in a transaction; each is looked for on its own.
SELECT 'CREATE DATABASE jeex OWNER jeex_owner'
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'jeex')
\gexec
SELECT 'CREATE DATABASE jeex_vault OWNER jeex_vault'
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'jeex_vault')
\gexec

-- PostgreSQL lets everyone connect everywhere unless told otherwise.
BEGIN;
REVOKE ALL ON DATABASE jeex, jeex_vault, postgres, template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE jeex TO jeex_app, jeex_admin, jeex_logins;
COMMIT;

\connect jeex
-- Only the owner makes objects; the others get what each migration grants them.
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO jeex_app, jeex_admin;

-- OpenBao makes its own table; HashiCorp's Vault wants this one, as its documentation has it.
\connect jeex_vault
SET ROLE jeex_vault;
SET client_min_messages = 'warning';
CREATE TABLE IF NOT EXISTS vault_kv_store (
  parent_path text COLLATE "C" NOT NULL,
  path        text COLLATE "C",
  key         text COLLATE "C",
  value       bytea,
  PRIMARY KEY (path, key)
);
CREATE INDEX IF NOT EXISTS vault_kv_store_parent_path ON vault_kv_store (parent_path);
