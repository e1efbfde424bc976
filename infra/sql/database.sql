-- What one database grants to the roles. Run inside it by its creator, after roles.sql; harmless to repeat.
DO $$
BEGIN
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO tanheng_app, tanheng_worker, tanheng_auditor', current_database());
  EXECUTE format('GRANT CONNECT, CREATE, TEMPORARY ON DATABASE %I TO tanheng_owner', current_database());
END $$;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO tanheng_app, tanheng_worker, tanheng_auditor;
GRANT USAGE, CREATE ON SCHEMA public TO tanheng_owner;
CREATE EXTENSION IF NOT EXISTS btree_gist;
