"""Tenants, the organisation tree with dates, boundary settings, members and roles, audit, idempotency."""

from __future__ import annotations

from migrations.support import TENANT, append_only, protect, run

revision = "0001"
down_revision = None


def upgrade() -> None:
    run("CREATE EXTENSION IF NOT EXISTS btree_gist")
    _functions()
    _tenant()
    _organisations()
    _closure()
    _boundaries()
    _members()
    _records_of_change()


def _functions() -> None:
    run(
        """
        CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'TH003';
        END $$
        """,
        # Folds what Chinese users type in two widths and Latin letters in two cases.
        """
        CREATE FUNCTION folded(written text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
        RETURN lower(normalize(written, NFKC))
        """,
        # Chinese names by pinyin. Where the server has ICU the collation does it; where it has none, the order of
        # GB 18030 stands in, in which the 3,755 common characters lie by pinyin and rarer ones behind them.
        """
        DO $do$
        BEGIN
          CREATE COLLATION pinyin (provider = icu, locale = 'zh-u-co-pinyin');
          CREATE FUNCTION name_order(name text) RETURNS text LANGUAGE sql IMMUTABLE RETURN name;
        EXCEPTION WHEN feature_not_supported THEN
          CREATE COLLATION pinyin FROM "C";
          CREATE FUNCTION name_order(name text) RETURNS text LANGUAGE sql IMMUTABLE
          RETURN encode(convert_to(name, 'GB18030'), 'hex');
        END $do$
        """,
    )


def _tenant() -> None:
    run(
        """
        CREATE TABLE tenant (
          id uuid PRIMARY KEY,
          slug text NOT NULL CONSTRAINT tenant_slug_key UNIQUE CHECK (slug ~ '^[a-z0-9][a-z0-9-]{1,62}$'),
          name text NOT NULL CHECK (name <> ''),
          status text NOT NULL DEFAULT 'ACTIVE' CHECK (status IN ('ACTIVE', 'SUSPENDED')),
          suspended_because text,
          settings jsonb NOT NULL DEFAULT '{}',
          created_at timestamptz NOT NULL DEFAULT now(),
          CHECK ((status = 'SUSPENDED') = (suspended_because IS NOT NULL))
        )
        """,
    )
    protect("tenant", tenant_column="id")
    run(
        "GRANT UPDATE (settings, name) ON tenant TO tanheng_app",
        # Provisioning is the owner's: it sees and makes tenants, and in their tables still only one at a time.
        "CREATE POLICY provisioning ON tenant TO tanheng_owner USING (true) WITH CHECK (true)",
        f"""
        CREATE FUNCTION tenant_must_be_writable() RETURNS void LANGUAGE plpgsql STABLE AS $$
        BEGIN
          PERFORM FROM tenant WHERE id = {TENANT} AND status = 'ACTIVE';
          IF NOT FOUND THEN
            RAISE EXCEPTION 'the tenant is suspended or unknown' USING ERRCODE = 'TH001';
          END IF;
        END $$
        """,
        # A request names its tenant by slug or id before any tenant is bound; this answers that and nothing more.
        """
        CREATE FUNCTION find_tenant(named text) RETURNS uuid LANGUAGE sql STABLE SECURITY DEFINER
        SET search_path = public
        RETURN (SELECT id FROM tenant WHERE slug = named OR id::text = lower(named))
        """,
        # The calendar day where the tenant reports.
        f"""
        CREATE FUNCTION tenant_today() RETURNS date LANGUAGE sql STABLE
        RETURN (now() AT TIME ZONE coalesce((SELECT settings ->> 'reporting_zone' FROM tenant WHERE id = {TENANT}),
                                            'Asia/Shanghai'))::date
        """,
        "REVOKE ALL ON FUNCTION find_tenant FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION find_tenant TO tanheng_app, tanheng_worker, tanheng_auditor",
    )


def _organisations() -> None:
    run(
        """
        CREATE TABLE organisation (
          tenant_id uuid NOT NULL REFERENCES tenant,
          id uuid NOT NULL,
          kind text NOT NULL CHECK (kind IN ('GROUP', 'SUBSIDIARY', 'SITE')),
          code text NOT NULL CHECK (code <> ''),
          name_zh text NOT NULL CHECK (name_zh <> ''),
          name_en text NOT NULL DEFAULT '',
          credit_code text CHECK (credit_code ~ '^[0-9A-HJ-NPQRTUWXY]{18}$'),
          address text NOT NULL DEFAULT '',
          division_code text CHECK (division_code ~ '^[0-9]{6}$'),
          industry_code text CHECK (industry_code ~ '^[A-T]?[0-9]{2,4}$'),
          founded_on date,
          business text NOT NULL DEFAULT '',
          capacity text NOT NULL DEFAULT '',
          present daterange NOT NULL CHECK (NOT isempty(present) AND NOT lower_inf(present)),
          entered_because text NOT NULL DEFAULT 'FOUNDED' CHECK (entered_because IN ('FOUNDED', 'ACQUIRED')),
          left_because text CHECK (left_because IN ('CLOSED', 'DISPOSED')),
          version integer NOT NULL DEFAULT 1,
          search text NOT NULL DEFAULT '',
          name_order text COLLATE pinyin NOT NULL DEFAULT '',
          created_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, id),
          CONSTRAINT organisation_code_key UNIQUE (tenant_id, code),
          CHECK (upper_inf(present) = (left_because IS NULL))
        )
        """,
        "CREATE INDEX organisation_by_name ON organisation (tenant_id, name_order, id)",
        """
        CREATE FUNCTION organisation_is_named() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          NEW.search := folded(NEW.code || ' ' || NEW.name_zh || ' ' || NEW.name_en);
          NEW.name_order := name_order(NEW.name_zh);
          RETURN NEW;
        END $$
        """,
        """
        CREATE TRIGGER organisation_named BEFORE INSERT OR UPDATE OF code, name_zh, name_en ON organisation
        FOR EACH ROW EXECUTE FUNCTION organisation_is_named()
        """,
        """
        CREATE TABLE production_line (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          organisation_id uuid NOT NULL,
          name text NOT NULL CHECK (name <> ''),
          product text NOT NULL DEFAULT '',
          capacity numeric CHECK (capacity >= 0),
          capacity_unit text NOT NULL DEFAULT '',
          commissioned_on date,
          PRIMARY KEY (tenant_id, id),
          CONSTRAINT production_line_name_key UNIQUE (tenant_id, organisation_id, name),
          FOREIGN KEY (tenant_id, organisation_id) REFERENCES organisation
        )
        """,
        # One row per child and period. Shares are fractions of 1; a site is owned wholly unless said otherwise.
        """
        CREATE TABLE organisation_link (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          child_id uuid NOT NULL,
          parent_id uuid NOT NULL,
          valid daterange NOT NULL CHECK (NOT isempty(valid) AND NOT lower_inf(valid)),
          equity_share numeric(9, 8) NOT NULL CHECK (equity_share BETWEEN 0 AND 1),
          operational_control boolean NOT NULL,
          financial_control boolean NOT NULL,
          reason text NOT NULL DEFAULT '',
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, child_id) REFERENCES organisation,
          FOREIGN KEY (tenant_id, parent_id) REFERENCES organisation,
          CONSTRAINT organisation_link_not_self CHECK (child_id <> parent_id),
          CONSTRAINT organisation_link_no_overlap
            EXCLUDE USING gist (tenant_id WITH =, child_id WITH =, valid WITH &&)
        )
        """,
        "CREATE INDEX organisation_link_down ON organisation_link (tenant_id, parent_id)",
    )
    protect(
        "organisation",
        writes="INSERT, UPDATE (code, name_zh, name_en, credit_code, address, division_code, industry_code, "
        "founded_on, business, capacity, present, left_because, version)",
    )
    protect("production_line", writes="INSERT, UPDATE, DELETE")
    protect("organisation_link", writes="INSERT, DELETE")
    # Writers of one tenant's tree go one at a time, whoever they are; they take the same lock before they read.
    run(
        f"""
        CREATE FUNCTION lock_tree() RETURNS void LANGUAGE sql
        RETURN pg_advisory_xact_lock(hashtextextended('tree', 0)
                                     # hashtextextended(coalesce({TENANT}::text, ''), 0))
        """,
        """
        CREATE FUNCTION tree_is_locked() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          PERFORM lock_tree();
          RETURN NULL;
        END $$
        """,
        """
        CREATE TRIGGER locks_tree BEFORE INSERT OR UPDATE OR DELETE ON organisation_link
        FOR EACH STATEMENT EXECUTE FUNCTION tree_is_locked()
        """,
        """
        CREATE TRIGGER locks_tree BEFORE INSERT OR UPDATE OF present ON organisation
        FOR EACH STATEMENT EXECUTE FUNCTION tree_is_locked()
        """,
    )
    _no_orphan()


def _no_orphan() -> None:
    """Whatever is not a GROUP has a parent on every day it is present and on no other; the parent is present as long
    as its child hangs there, and it is not a SITE. Judged at the end of the transaction.
    """
    run(
        """
        CREATE FUNCTION organisation_is_linked() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
          tenant uuid; node uuid; o organisation; linked datemultirange; wanted datemultirange;
        BEGIN
          IF TG_TABLE_NAME = 'organisation' THEN
            tenant := NEW.tenant_id; node := NEW.id;
            -- A new node with a link is judged when its link is; most nodes come that way.
            IF TG_OP = 'INSERT' AND NEW.kind <> 'GROUP' THEN
              PERFORM FROM organisation_link WHERE tenant_id = tenant AND child_id = node;
              IF FOUND THEN
                RETURN NULL;
              END IF;
            END IF;
          ELSE
            tenant := coalesce(NEW.tenant_id, OLD.tenant_id); node := coalesce(NEW.child_id, OLD.child_id);
          END IF;
          SELECT * INTO o FROM organisation WHERE tenant_id = tenant AND id = node;
          SELECT coalesce(range_agg(valid), '{}') INTO linked
            FROM organisation_link WHERE tenant_id = tenant AND child_id = node;
          wanted := CASE o.kind WHEN 'GROUP' THEN '{}'::datemultirange ELSE datemultirange(o.present) END;
          IF linked <> wanted THEN
            RAISE EXCEPTION 'organisation % is present % but has a parent %', o.code, o.present, linked
              USING ERRCODE = 'TH002', CONSTRAINT = 'organisation_linked';
          END IF;
          PERFORM FROM organisation_link l JOIN organisation p ON p.tenant_id = l.tenant_id AND p.id = l.parent_id
            WHERE l.tenant_id = tenant AND l.child_id = node AND (p.kind = 'SITE' OR NOT l.valid <@ p.present);
          IF FOUND THEN
            RAISE EXCEPTION 'organisation % lies below a site, or below what is not there all the time', o.code
              USING ERRCODE = 'TH002', CONSTRAINT = 'organisation_parent_present';
          END IF;
          IF TG_TABLE_NAME = 'organisation' AND TG_OP = 'UPDATE' THEN
            PERFORM FROM organisation_link l
              WHERE l.tenant_id = tenant AND l.parent_id = node AND NOT l.valid <@ o.present;
            IF FOUND THEN
              RAISE EXCEPTION 'organisation % leaves while another lies below it', o.code
                USING ERRCODE = 'TH002', CONSTRAINT = 'organisation_parent_present';
            END IF;
          END IF;
          RETURN NULL;
        END $$
        """,
        """
        CREATE CONSTRAINT TRIGGER organisation_linked AFTER INSERT OR UPDATE OF present, kind ON organisation
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION organisation_is_linked()
        """,
        """
        CREATE CONSTRAINT TRIGGER organisation_link_linked AFTER INSERT OR UPDATE OR DELETE ON organisation_link
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION organisation_is_linked()
        """,
    )


def _closure() -> None:
    run(
        # Every (ancestor, descendant) with the days it held, the equity share multiplied along the way, and whether
        # control was unbroken. Written by triggers alone; nobody is granted more than SELECT.
        """
        CREATE TABLE organisation_closure (
          tenant_id uuid NOT NULL,
          ancestor_id uuid NOT NULL,
          descendant_id uuid NOT NULL,
          depth integer NOT NULL,
          valid daterange NOT NULL,
          equity_share numeric NOT NULL,
          operational_control boolean NOT NULL,
          financial_control boolean NOT NULL,
          PRIMARY KEY (tenant_id, ancestor_id, descendant_id, valid),
          CONSTRAINT organisation_no_cycle CHECK ((depth = 0) = (ancestor_id = descendant_id))
        )
        """,
        "CREATE INDEX organisation_closure_up ON organisation_closure (tenant_id, descendant_id, depth)",
    )
    protect("organisation_closure")
    run(
        f"""
        CREATE FUNCTION rebuild_closure(tenant uuid, nodes uuid[]) RETURNS void LANGUAGE plpgsql
        SECURITY DEFINER SET search_path = public SET jit = off AS $$
        DECLARE below uuid[];
        BEGIN
          IF tenant IS DISTINCT FROM {TENANT} THEN
            RAISE EXCEPTION 'closure of another tenant';
          END IF;
          WITH RECURSIVE down AS (
            SELECT unnest(nodes) AS id
            UNION
            SELECT l.child_id FROM down JOIN organisation_link l ON l.tenant_id = tenant AND l.parent_id = down.id
          )
          SELECT array_agg(id) INTO below FROM down;
          -- A new cycle passes through a node that was just linked: walk up from those.
          IF EXISTS (
            WITH RECURSIVE up AS (
              SELECT o.id, o.present AS valid FROM organisation o WHERE o.tenant_id = tenant AND o.id = ANY (nodes)
              UNION ALL
              SELECT l.parent_id, up.valid * l.valid
              FROM up JOIN organisation_link l ON l.tenant_id = tenant AND l.child_id = up.id AND l.valid && up.valid
            ) CYCLE id SET meets_itself USING way
            SELECT FROM up WHERE meets_itself
          ) THEN
            RAISE EXCEPTION 'the parent lies below the child'
              USING ERRCODE = 'TH004', CONSTRAINT = 'organisation_no_cycle';
          END IF;
          DELETE FROM organisation_closure WHERE tenant_id = tenant AND descendant_id = ANY (below);
          INSERT INTO organisation_closure
          WITH RECURSIVE up AS (
            SELECT o.id AS descendant_id, o.id AS ancestor_id, 0 AS depth, o.present AS valid,
                   1::numeric AS share, true AS operational, true AS financial
            FROM organisation o WHERE o.tenant_id = tenant AND o.id = ANY (below)
            UNION ALL
            SELECT up.descendant_id, l.parent_id, up.depth + 1, up.valid * l.valid, up.share * l.equity_share,
                   up.operational AND l.operational_control, up.financial AND l.financial_control
            FROM up JOIN organisation_link l
              ON l.tenant_id = tenant AND l.child_id = up.ancestor_id AND l.valid && up.valid
          )
          SELECT tenant, ancestor_id, descendant_id, depth, valid, share, operational, financial FROM up;
        END $$
        """,
        "REVOKE ALL ON FUNCTION rebuild_closure FROM PUBLIC",
        # Once per statement, so that five hundred organisations in one INSERT cost one rebuild.
        """
        CREATE FUNCTION closure_follows() RETURNS trigger LANGUAGE plpgsql
        SECURITY DEFINER SET search_path = public AS $$
        DECLARE tenant uuid; nodes uuid[];
        BEGIN
          IF TG_TABLE_NAME = 'organisation_link' THEN
            FOR tenant, nodes IN SELECT tenant_id, array_agg(child_id) FROM changed GROUP BY tenant_id LOOP
              PERFORM rebuild_closure(tenant, nodes);
            END LOOP;
          ELSIF TG_OP = 'INSERT' THEN
            -- What was just inserted hangs nowhere yet: it is its own only ancestor.
            INSERT INTO organisation_closure SELECT tenant_id, id, id, 0, present, 1, true, true FROM changed;
          ELSE
            FOR tenant, nodes IN
              SELECT c.tenant_id, array_agg(c.id) FROM changed c JOIN before b USING (tenant_id, id)
              WHERE c.present <> b.present GROUP BY c.tenant_id
            LOOP
              PERFORM rebuild_closure(tenant, nodes);
            END LOOP;
          END IF;
          RETURN NULL;
        END $$
        """,
        """
        CREATE TRIGGER closure_follows_insert AFTER INSERT ON organisation
        REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION closure_follows()
        """,
        """
        CREATE TRIGGER closure_follows_update AFTER UPDATE ON organisation
        REFERENCING OLD TABLE AS before NEW TABLE AS changed
        FOR EACH STATEMENT EXECUTE FUNCTION closure_follows()
        """,
        """
        CREATE TRIGGER closure_follows_insert AFTER INSERT ON organisation_link
        REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION closure_follows()
        """,
        """
        CREATE TRIGGER closure_follows_delete AFTER DELETE ON organisation_link
        REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION closure_follows()
        """,
        """
        CREATE FUNCTION refuse_relinking() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          RAISE EXCEPTION 'a link is replaced, not updated' USING ERRCODE = 'TH003';
        END $$
        """,
        """
        CREATE TRIGGER links_are_replaced BEFORE UPDATE ON organisation_link
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_relinking()
        """,
        # Who may see what follows the tree of today; for what has left, the tree of its last day, for what is yet
        # to come, of its first.
        """
        CREATE VIEW organisation_reach WITH (security_invoker = true) AS
        SELECT c.tenant_id, c.ancestor_id, c.descendant_id, c.depth
        FROM organisation_closure c JOIN organisation o
          ON o.tenant_id = c.tenant_id AND o.id = c.descendant_id
        WHERE c.valid @> greatest(lower(o.present), least((SELECT tenant_today()), upper(o.present) - 1))
        """,
        "GRANT SELECT ON organisation_reach TO tanheng_app, tanheng_worker, tanheng_auditor",
    )


def _boundaries() -> None:
    run(
        """
        CREATE TABLE boundary_setting (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          organisation_id uuid NOT NULL,
          key text NOT NULL CHECK (key IN ('CONSOLIDATION_APPROACH', 'CATEGORIES', 'GASES', 'GWP_SET', 'BASE_YEAR',
                                           'FACTOR_SET', 'MATERIALITY', 'ALLOWANCE_POLICY')),
          value jsonb NOT NULL,
          valid daterange NOT NULL CHECK (NOT isempty(valid) AND NOT lower_inf(valid)),
          reason text NOT NULL DEFAULT '',
          recorded_at timestamptz NOT NULL DEFAULT now(),
          recorded_by uuid,
          superseded_at timestamptz,
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, organisation_id) REFERENCES organisation,
          CONSTRAINT base_year_is_explained CHECK (key <> 'BASE_YEAR' OR reason <> ''),
          CONSTRAINT boundary_setting_no_overlap
            EXCLUDE USING gist (tenant_id WITH =, organisation_id WITH =, key WITH =, valid WITH &&)
            WHERE (superseded_at IS NULL)
        )
        """,
    )
    protect("boundary_setting", writes="INSERT, UPDATE (superseded_at)")


def _members() -> None:
    run(
        """
        CREATE TABLE member (
          tenant_id uuid NOT NULL REFERENCES tenant,
          id uuid NOT NULL,
          issuer text NOT NULL,
          subject text NOT NULL,
          kind text NOT NULL CHECK (kind IN ('PERSON', 'CLIENT')),
          display_name text NOT NULL CHECK (display_name <> ''),
          status text NOT NULL DEFAULT 'ACTIVE' CHECK (status IN ('ACTIVE', 'REVOKED')),
          created_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, id),
          CONSTRAINT member_subject_key UNIQUE (tenant_id, issuer, subject)
        )
        """,
        # organisation_id NULL: the assignment holds in the whole tenant.
        """
        CREATE TABLE role_assignment (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          member_id uuid NOT NULL,
          role text NOT NULL,
          organisation_id uuid,
          valid daterange NOT NULL CHECK (NOT isempty(valid) AND NOT lower_inf(valid)),
          reason text NOT NULL DEFAULT '',
          granted_by uuid,
          granted_at timestamptz NOT NULL DEFAULT now(),
          revoked_at timestamptz,
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, member_id) REFERENCES member,
          FOREIGN KEY (tenant_id, organisation_id) REFERENCES organisation,
          CONSTRAINT verifier_is_time_limited CHECK (role <> 'THIRD_PARTY_VERIFIER' OR NOT upper_inf(valid)),
          CONSTRAINT overall_lead_has_organisation CHECK (role <> 'OVERALL_LEAD' OR organisation_id IS NOT NULL),
          CONSTRAINT one_overall_lead
            EXCLUDE USING gist (tenant_id WITH =, organisation_id WITH =, valid WITH &&)
            WHERE (role = 'OVERALL_LEAD' AND revoked_at IS NULL)
        )
        """,
        "CREATE INDEX role_assignment_of_member ON role_assignment (tenant_id, member_id) WHERE revoked_at IS NULL",
    )
    protect("member", writes="INSERT, UPDATE (display_name, status)")
    protect("role_assignment", writes="INSERT, UPDATE (revoked_at)")


def _records_of_change() -> None:
    run(
        """
        CREATE TABLE audit_event (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          at timestamptz NOT NULL DEFAULT now(),
          member_id uuid,
          operation text NOT NULL,
          organisation_id uuid,
          subject_type text NOT NULL,
          subject_id uuid NOT NULL,
          before jsonb,
          after jsonb,
          correlation_id text NOT NULL DEFAULT '-',
          PRIMARY KEY (tenant_id, id)
        )
        """,
        "CREATE INDEX audit_event_of_subject ON audit_event (tenant_id, subject_id, id)",
        """
        CREATE TABLE idempotency_key (
          tenant_id uuid NOT NULL,
          member_id uuid NOT NULL,
          key text NOT NULL CHECK (length(key) BETWEEN 1 AND 200),
          operation text NOT NULL,
          body_sha256 bytea NOT NULL,
          answer jsonb,
          used_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, member_id, key)
        )
        """,
    )
    protect("audit_event", writes="INSERT")
    append_only("audit_event")
    protect("idempotency_key", writes="INSERT, UPDATE (answer)")
