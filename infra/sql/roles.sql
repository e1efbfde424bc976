-- The four roles of the database. Run once per server by a login that may create roles; running it again is harmless.
-- Give the login roles their passwords outside of this file: ALTER ROLE tanheng_app PASSWORD '…'.
--
--   tanheng_owner    owns every object, runs migrations, provisions tenants; serves no request
--   tanheng_app      the API: row-level security, no DDL, no bypass
--   tanheng_worker   the job worker: as the API, and it may see the job queue of all tenants
--   tanheng_auditor  reads, inside one tenant at a time
DO $$
DECLARE wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['tanheng_owner', 'tanheng_app', 'tanheng_worker', 'tanheng_auditor'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
      EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS NOINHERIT', wanted);
    END IF;
  END LOOP;
  -- A general login (DATABASE_URL alone) takes these roles on as it connects.
  IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    EXECUTE format('GRANT tanheng_owner, tanheng_app, tanheng_worker, tanheng_auditor TO %I', current_user);
  END IF;
END $$;

ALTER ROLE tanheng_app SET statement_timeout = '30s';
ALTER ROLE tanheng_app SET lock_timeout = '10s';
ALTER ROLE tanheng_app SET idle_in_transaction_session_timeout = '60s';
ALTER ROLE tanheng_worker SET statement_timeout = '10min';
ALTER ROLE tanheng_worker SET lock_timeout = '30s';
ALTER ROLE tanheng_worker SET idle_in_transaction_session_timeout = '10min';
ALTER ROLE tanheng_auditor SET default_transaction_read_only = on;
ALTER ROLE tanheng_auditor SET statement_timeout = '5min';
