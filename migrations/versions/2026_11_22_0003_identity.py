"""Trusted issuers, partner clients and their secrets; the signing keys of our own issuer."""

from __future__ import annotations

from migrations.support import protect, run

revision = "0003"
down_revision = "0002"

ADDRESS = r"^(https://|http://(localhost|127\.0\.0\.1|\[::1\])([:/]|$))[^[:space:]?#]*$"


def upgrade() -> None:
    _issuers()
    _clients()
    _keys()


def _issuers() -> None:
    run(
        f"""
        CREATE TABLE trusted_issuer (
          tenant_id uuid NOT NULL REFERENCES tenant,
          id uuid NOT NULL,
          issuer text NOT NULL CHECK (issuer ~ '{ADDRESS}'),
          audience text NOT NULL CHECK (audience <> ''),
          jwks_uri text CHECK (jwks_uri ~ '{ADDRESS}'),
          algorithms text[] NOT NULL
            CHECK (cardinality(algorithms) > 0 AND algorithms <@ ARRAY['RS256', 'ES256']),
          subject_claim text NOT NULL CHECK (subject_claim <> ''),
          added_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, id),
          CONSTRAINT trusted_issuer_key UNIQUE (tenant_id, issuer)
        )
        """,
    )
    protect("trusted_issuer", writes="INSERT, DELETE", worker="")


def _clients() -> None:
    run(
        """
        CREATE TABLE oauth_client (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          client_id text NOT NULL,
          member_id uuid NOT NULL,
          name text NOT NULL CHECK (name <> ''),
          scopes text[] NOT NULL CHECK (cardinality(scopes) > 0),
          status text NOT NULL DEFAULT 'ACTIVE' CHECK (status IN ('ACTIVE', 'REVOKED')),
          created_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, id),
          CONSTRAINT oauth_client_client_id_key UNIQUE (tenant_id, client_id),
          CONSTRAINT oauth_client_member_key UNIQUE (tenant_id, member_id),
          FOREIGN KEY (tenant_id, member_id) REFERENCES member
        )
        """,
        """
        CREATE TABLE oauth_client_secret (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          oauth_client_id uuid NOT NULL,
          digest text NOT NULL CHECK (digest LIKE 'scrypt$%'),
          created_at timestamptz NOT NULL DEFAULT now(),
          expires_at timestamptz,
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, oauth_client_id) REFERENCES oauth_client
        )
        """,
        # One secret is current; those it replaced run out.
        """
        CREATE UNIQUE INDEX oauth_client_secret_current
        ON oauth_client_secret (tenant_id, oauth_client_id) WHERE expires_at IS NULL
        """,
        "CREATE INDEX oauth_client_secret_of_client ON oauth_client_secret (tenant_id, oauth_client_id)",
        # What is revoked stays revoked: the application may go from ACTIVE to REVOKED and not back.
        """
        CREATE FUNCTION oauth_client_stays_revoked() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          RAISE EXCEPTION 'client % is revoked for good', OLD.client_id USING ERRCODE = 'TH005';
        END $$
        """,
        """
        CREATE TRIGGER oauth_client_stays_revoked BEFORE UPDATE ON oauth_client
        FOR EACH ROW WHEN (OLD.status = 'REVOKED') EXECUTE FUNCTION oauth_client_stays_revoked()
        """,
    )
    protect("oauth_client", writes="INSERT, UPDATE (status)", worker="")
    protect("oauth_client_secret", writes="INSERT, UPDATE (expires_at)", worker="")
    # Digests are for the token endpoint alone.
    run(
        "REVOKE SELECT ON oauth_client_secret FROM tanheng_worker, tanheng_auditor",
        "GRANT SELECT (tenant_id, id, oauth_client_id, created_at, expires_at) ON oauth_client_secret TO tanheng_auditor",
    )


def _keys() -> None:
    run(
        # Of the installation, not of a tenant. Only the owner writes and sees all of it.
        """
        CREATE TABLE signing_key (
          kid text PRIMARY KEY,
          public_jwk jsonb NOT NULL CHECK (NOT public_jwk ? 'd'),
          private_jwk jsonb CHECK (private_jwk ? 'd'),
          created_at timestamptz NOT NULL DEFAULT now(),
          retired_at timestamptz,
          published_until timestamptz,
          CHECK ((retired_at IS NULL) = (published_until IS NULL)),
          CONSTRAINT private_only_while_it_signs CHECK ((retired_at IS NULL) = (private_jwk IS NOT NULL))
        )
        """,
        "CREATE UNIQUE INDEX one_signing_key_signs ON signing_key ((true)) WHERE retired_at IS NULL",
        "ALTER TABLE signing_key ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE signing_key FORCE ROW LEVEL SECURITY",
        "CREATE POLICY operator ON signing_key TO tanheng_owner USING (true) WITH CHECK (true)",
        "CREATE POLICY public_part ON signing_key FOR SELECT TO tanheng_app USING (true)",
        "GRANT SELECT (kid, public_jwk, created_at, retired_at, published_until) ON signing_key TO tanheng_app",
        # The API signs with the key of the day; the private parts of older ones exist no more.
        """
        CREATE FUNCTION active_private_key() RETURNS jsonb LANGUAGE sql STABLE SECURITY DEFINER
        SET search_path = public
        RETURN (SELECT private_jwk FROM signing_key WHERE retired_at IS NULL)
        """,
        "REVOKE ALL ON FUNCTION active_private_key FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION active_private_key TO tanheng_app",
    )
