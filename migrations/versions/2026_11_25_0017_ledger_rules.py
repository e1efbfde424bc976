"""What surrounds the ledger's books: registered accounts and their states, remarks of rules, allocation and carry-over,
trades and prices, projects with their claims and sinks. Nothing here moves a unit: that is done by the books alone.
"""

from __future__ import annotations

from migrations.support import TENANT, append_only, protect, run

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    _accounts()
    _states()
    _remarks()
    _compliance()
    _trades()
    _prices()
    _projects()
    _sinks()
    _claims()


def _superseded_once(table: str) -> None:
    protect(table, writes="INSERT, UPDATE (superseded_at, superseded_because)")
    run(
        f"CREATE TRIGGER {table}_supersede_once BEFORE UPDATE OR DELETE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION supersede_once()",
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
    )


def _accounts() -> None:
    run(
        "ALTER TABLE asset_account ADD CONSTRAINT asset_account_at_organisation UNIQUE (tenant_id, organisation_id, id)",
        """
        CREATE TABLE registered_account (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          organisation_id uuid NOT NULL,
          kind text NOT NULL CHECK (kind IN ('REGISTRY', 'TRADING', 'FUND')),
          market text NOT NULL CHECK (market <> ''),
          institution text NOT NULL CHECK (institution <> ''),
          code text NOT NULL CHECK (length(code) BETWEEN 1 AND 60),
          owner_name text NOT NULL CHECK (owner_name <> ''),
          credit_code text NOT NULL CHECK (credit_code ~ '^[0-9A-HJ-NPQRTUWXY]{18}$'),
          account_id uuid,
          opened_on date NOT NULL,
          recorded_by uuid NOT NULL,
          recorded_at timestamptz NOT NULL DEFAULT now(),
          superseded_at timestamptz CHECK (superseded_at >= recorded_at),
          superseded_because text CHECK (superseded_because <> ''),
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, organisation_id) REFERENCES organisation,
          FOREIGN KEY (tenant_id, organisation_id, account_id)
            REFERENCES asset_account (tenant_id, organisation_id, id),
          CONSTRAINT a_fund_account_holds_no_units CHECK ((kind = 'FUND') = (account_id IS NULL)),
          CHECK ((superseded_at IS NULL) = (superseded_because IS NULL))
        )
        """,
        "CREATE UNIQUE INDEX registered_account_code ON registered_account (tenant_id, market, kind, code) "
        "WHERE superseded_at IS NULL",
        "CREATE UNIQUE INDEX one_account_per_entity ON registered_account (tenant_id, organisation_id, market, kind) "
        "WHERE superseded_at IS NULL",
    )
    _superseded_once("registered_account")


def _states() -> None:
    run(
        """
        CREATE TABLE account_state (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          organisation_id uuid NOT NULL,
          account_id uuid NOT NULL,
          number integer NOT NULL CHECK (number > 0),
          state text NOT NULL CHECK (state IN ('OPEN', 'FROZEN', 'CLOSED')),
          reason text NOT NULL CHECK (reason <> ''),
          set_by uuid NOT NULL,
          set_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, organisation_id, account_id)
            REFERENCES asset_account (tenant_id, organisation_id, id),
          CONSTRAINT account_state_number UNIQUE (tenant_id, account_id, number)
        )
        """,
    )
    protect("account_state", writes="INSERT")
    append_only("account_state")
    run(
        # The account's row and its balances are locked first, so no posting slips in between: one that adds a lot
        # waits at the foreign key of its new balance, one that moves a known lot at the balance itself.
        """
        CREATE FUNCTION account_state_follows() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = public, pg_temp AS $$
        DECLARE before text; rest bigint;
        BEGIN
          PERFORM FROM asset_account a WHERE a.tenant_id = NEW.tenant_id AND a.id = NEW.account_id FOR UPDATE;
          SELECT state INTO before FROM account_state s
          WHERE s.tenant_id = NEW.tenant_id AND s.account_id = NEW.account_id ORDER BY number DESC LIMIT 1;
          IF before = 'CLOSED' OR coalesce(before, 'OPEN') = NEW.state THEN
            RAISE EXCEPTION 'an account that is % does not become %', before, NEW.state
              USING ERRCODE = '23514', CONSTRAINT = 'account_state_follows';
          END IF;
          IF NEW.state = 'CLOSED' THEN
            SELECT sum(quantity_t) INTO rest FROM (
              SELECT quantity_t FROM asset_balance b
              WHERE b.tenant_id = NEW.tenant_id AND b.account_id = NEW.account_id
              ORDER BY account_id, lot_id FOR UPDATE) AS locked;
            IF rest > 0 THEN
              RAISE EXCEPTION 'an account that is closed holds nothing'
                USING ERRCODE = '23514', CONSTRAINT = 'closed_accounts_are_empty';
            END IF;
          END IF;
          RETURN NEW;
        END $$
        """,
        "CREATE TRIGGER account_state_follows BEFORE INSERT ON account_state "
        "FOR EACH ROW EXECUTE FUNCTION account_state_follows()",
        """
        CREATE FUNCTION legs_meet_open_accounts() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
        BEGIN
          IF EXISTS (
            SELECT FROM new_legs l
            CROSS JOIN LATERAL (
              SELECT DISTINCT ON (s.account_id) s.state FROM account_state s
              WHERE s.tenant_id = l.tenant_id AND s.account_id IN (l.from_account_id, l.to_account_id)
              ORDER BY s.account_id, s.number DESC) AS last
            WHERE last.state <> 'OPEN') THEN
            -- A serialization failure: who asked before the state was set asks again, and is told the reason.
            RAISE EXCEPTION 'units move between open accounts only' USING ERRCODE = '40001';
          END IF;
          RETURN NULL;
        END $$
        """,
        "CREATE TRIGGER legs_meet_open_accounts AFTER INSERT ON asset_leg REFERENCING NEW TABLE AS new_legs "
        "FOR EACH STATEMENT EXECUTE FUNCTION legs_meet_open_accounts()",
        # What goes together with others is told beforehand, so that one shut account does not undo its neighbours.
        f"""
        CREATE OR REPLACE FUNCTION ledger_shut_accounts(accounts uuid[]) RETURNS SETOF uuid LANGUAGE sql STABLE
        BEGIN ATOMIC
          SELECT last.account_id FROM (
            SELECT DISTINCT ON (s.account_id) s.account_id, s.state FROM account_state s
            WHERE s.tenant_id = {TENANT} AND s.account_id = ANY (accounts)
            ORDER BY s.account_id, s.number DESC) AS last
          WHERE last.state <> 'OPEN';
        END
        """,
    )


def _remarks() -> None:
    run(
        """
        CREATE TABLE transfer_remark (
          tenant_id uuid NOT NULL,
          transfer_id uuid NOT NULL,
          number integer NOT NULL CHECK (number > 0),
          code text NOT NULL CHECK (code <> ''),
          path text[] NOT NULL,
          params jsonb NOT NULL,
          recorded_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, transfer_id, number),
          FOREIGN KEY (tenant_id, transfer_id) REFERENCES asset_transfer
        )
        """,
    )
    protect("transfer_remark", writes="INSERT")
    append_only("transfer_remark")


def _compliance() -> None:
    run(
        "ALTER TABLE obligation ADD market text NOT NULL DEFAULT ''",
        """
        CREATE TABLE allowance_allocation (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          organisation_id uuid NOT NULL,
          market text NOT NULL CHECK (market <> ''),
          year integer NOT NULL CHECK (year BETWEEN 1990 AND 2100),
          stage text NOT NULL CHECK (stage IN ('PRE', 'FINAL', 'CLAW_BACK')),
          quantity_t bigint NOT NULL CHECK (quantity_t > 0),
          evidence text NOT NULL CHECK (evidence <> ''),
          lot_id uuid,
          transfer_id uuid,
          recorded_by uuid NOT NULL,
          recorded_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, organisation_id) REFERENCES organisation,
          FOREIGN KEY (tenant_id, lot_id) REFERENCES asset_lot,
          FOREIGN KEY (tenant_id, transfer_id) REFERENCES asset_transfer,
          CONSTRAINT allocated_once UNIQUE (tenant_id, organisation_id, market, year, stage),
          CONSTRAINT allocated_units_came_or_went CHECK (num_nonnulls(lot_id, transfer_id) = 1
            AND (stage = 'CLAW_BACK') = (transfer_id IS NOT NULL))
        )
        """,
        """
        CREATE TABLE carry_over (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          organisation_id uuid NOT NULL,
          market text NOT NULL CHECK (market <> ''),
          year integer NOT NULL CHECK (year BETWEEN 1990 AND 2100),
          sold_t bigint NOT NULL CHECK (sold_t >= 0),
          bought_t bigint NOT NULL CHECK (bought_t >= 0),
          held_t bigint NOT NULL CHECK (held_t >= 0),
          most_t bigint NOT NULL CHECK (most_t BETWEEN 0 AND held_t),
          earlier_t bigint NOT NULL CHECK (earlier_t >= 0),
          quantity_t bigint NOT NULL CHECK (quantity_t > 0),
          rule text NOT NULL CHECK (rule <> ''),
          evidence text NOT NULL CHECK (evidence <> ''),
          transfer_id uuid NOT NULL,
          lot_id uuid NOT NULL,
          recorded_by uuid NOT NULL,
          recorded_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, organisation_id) REFERENCES organisation,
          FOREIGN KEY (tenant_id, transfer_id) REFERENCES asset_transfer,
          FOREIGN KEY (tenant_id, lot_id) REFERENCES asset_lot,
          CONSTRAINT carried_over_within_the_most CHECK (earlier_t + quantity_t <= most_t),
          CONSTRAINT carried_over_in_order UNIQUE (tenant_id, organisation_id, market, year, earlier_t)
        )
        """,
    )
    for table in ("allowance_allocation", "carry_over"):
        protect(table, writes="INSERT")
        append_only(table)


def _trades() -> None:
    run(
        # Money is whole fen. A trade is settled or called off once; what was agreed never changes.
        """
        CREATE TABLE asset_trade (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          organisation_id uuid NOT NULL,
          side text NOT NULL CHECK (side IN ('BUY', 'SELL')),
          mode text NOT NULL CHECK (mode IN ('LISTED', 'BLOCK', 'AUCTION', 'PICK')),
          market text NOT NULL CHECK (market <> ''),
          scheme text NOT NULL CHECK (scheme <> ''),
          account_id uuid NOT NULL,
          quantity_t bigint NOT NULL CHECK (quantity_t > 0),
          price_fen bigint NOT NULL CHECK (price_fen BETWEEN 1 AND 100000000),
          fee_fen bigint NOT NULL CHECK (fee_fen BETWEEN 0 AND 1000000000000),
          counterparty text NOT NULL DEFAULT '',
          counterparty_account_id uuid,
          traded_on date NOT NULL,
          reference text NOT NULL CHECK (reference <> ''),
          remarks jsonb NOT NULL DEFAULT '[]',
          state text NOT NULL DEFAULT 'AGREED' CHECK (state IN ('AGREED', 'SETTLED', 'CALLED_OFF')),
          settled_on date CHECK (settled_on >= traded_on),
          lot_id uuid,
          transfer_id uuid,
          reason text CHECK (reason <> ''),
          recorded_by uuid NOT NULL,
          recorded_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, organisation_id, account_id)
            REFERENCES asset_account (tenant_id, organisation_id, id),
          FOREIGN KEY (tenant_id, counterparty_account_id) REFERENCES asset_account,
          FOREIGN KEY (tenant_id, lot_id) REFERENCES asset_lot,
          FOREIGN KEY (tenant_id, transfer_id) REFERENCES asset_transfer,
          CONSTRAINT trade_reference UNIQUE (tenant_id, market, reference, side),
          CONSTRAINT trade_value_fits CHECK (quantity_t <= 9000000000000),
          CONSTRAINT trade_of_two CHECK (counterparty_account_id <> account_id
            AND (counterparty <> '' OR counterparty_account_id IS NOT NULL)),
          CONSTRAINT settled_by_a_transfer CHECK ((state = 'SETTLED') = (num_nonnulls(settled_on, lot_id, transfer_id) = 3)
            AND num_nonnulls(settled_on, lot_id, transfer_id) IN (0, 3) AND (state = 'CALLED_OFF') = (reason IS NOT NULL)),
          CONSTRAINT a_transfer_settles_one_trade UNIQUE (tenant_id, transfer_id)
        )
        """,
        "CREATE INDEX asset_trade_of ON asset_trade (tenant_id, organisation_id, traded_on)",
        """
        CREATE FUNCTION a_trade_ends_once() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF TG_OP = 'UPDATE' AND OLD.state = 'AGREED' AND NEW.state <> 'AGREED'
             AND to_jsonb(NEW) - '{state,settled_on,lot_id,transfer_id,reason}'::text[]
               = to_jsonb(OLD) - '{state,settled_on,lot_id,transfer_id,reason}'::text[] THEN
            RETURN NEW;
          END IF;
          RAISE EXCEPTION 'a trade is settled or called off once: % refused', TG_OP USING ERRCODE = 'TH003';
        END $$
        """,
        "CREATE TRIGGER a_trade_ends_once BEFORE UPDATE OR DELETE ON asset_trade "
        "FOR EACH ROW EXECUTE FUNCTION a_trade_ends_once()",
        "CREATE TRIGGER asset_trade_no_truncate BEFORE TRUNCATE ON asset_trade "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
    )
    protect("asset_trade", writes="INSERT, UPDATE (state, settled_on, lot_id, transfer_id, reason)")


def _prices() -> None:
    run(
        """
        CREATE TABLE market_price (
          tenant_id uuid NOT NULL REFERENCES tenant,
          id uuid NOT NULL,
          scheme text NOT NULL CHECK (scheme <> ''),
          day date NOT NULL,
          close_fen bigint NOT NULL CHECK (close_fen BETWEEN 1 AND 100000000),
          source text NOT NULL CHECK (source <> ''),
          recorded_by uuid NOT NULL,
          recorded_at timestamptz NOT NULL DEFAULT now(),
          superseded_at timestamptz CHECK (superseded_at >= recorded_at),
          superseded_because text CHECK (superseded_because <> ''),
          PRIMARY KEY (tenant_id, id),
          CHECK ((superseded_at IS NULL) = (superseded_because IS NULL))
        )
        """,
        "CREATE UNIQUE INDEX market_price_of_day ON market_price (tenant_id, scheme, day) WHERE superseded_at IS NULL",
    )
    _superseded_once("market_price")


def _projects() -> None:
    run(
        """
        CREATE TABLE carbon_project (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          organisation_id uuid NOT NULL,
          code text NOT NULL CHECK (length(code) BETWEEN 1 AND 60),
          name text NOT NULL CHECK (name <> ''),
          regime text NOT NULL CHECK (regime <> ''),
          methodology text NOT NULL CHECK (methodology <> ''),
          region text NOT NULL DEFAULT '',
          begun_on date NOT NULL,
          crediting_from date NOT NULL,
          crediting_to date NOT NULL,
          in_allowance_scheme boolean NOT NULL DEFAULT false,
          in_other_mechanism boolean NOT NULL DEFAULT false,
          state text NOT NULL,
          version integer NOT NULL DEFAULT 1 CHECK (version > 0),
          validator text NOT NULL DEFAULT '',
          created_by uuid NOT NULL,
          created_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, organisation_id) REFERENCES organisation,
          CONSTRAINT carbon_project_code UNIQUE (tenant_id, code),
          CONSTRAINT carbon_project_at_organisation UNIQUE (tenant_id, organisation_id, id),
          CONSTRAINT crediting_takes_time CHECK (crediting_from < crediting_to AND begun_on <= crediting_from),
          CONSTRAINT counted_in_one_mechanism CHECK (state <> 'REGISTERED'
            OR NOT in_allowance_scheme AND NOT in_other_mechanism AND validator <> '')
        )
        """,
        """
        CREATE FUNCTION carbon_project_moves_on() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF TG_OP = 'UPDATE' AND NEW.version = OLD.version + 1 AND OLD.state <> 'CANCELLED'
             AND (OLD.validator = '' OR OLD.state <> 'REGISTERED' OR NEW.validator = OLD.validator)
             AND to_jsonb(NEW) - '{state,version,validator}'::text[] = to_jsonb(OLD) - '{state,version,validator}'::text[]
          THEN
            RETURN NEW;
          END IF;
          RAISE EXCEPTION 'of a project state and validator change, one version at a time: % refused', TG_OP
            USING ERRCODE = 'TH003';
        END $$
        """,
        "CREATE TRIGGER carbon_project_moves_on BEFORE UPDATE OR DELETE ON carbon_project "
        "FOR EACH ROW EXECUTE FUNCTION carbon_project_moves_on()",
        """
        CREATE TABLE project_event (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          project_id uuid NOT NULL,
          claim_number integer NOT NULL DEFAULT 0,
          number integer NOT NULL CHECK (number > 0),
          step text NOT NULL CHECK (step <> ''),
          state text NOT NULL CHECK (state <> ''),
          happened_on date NOT NULL,
          documents jsonb NOT NULL DEFAULT '{}',
          note text NOT NULL DEFAULT '',
          recorded_by uuid NOT NULL,
          recorded_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, project_id) REFERENCES carbon_project,
          CONSTRAINT project_event_number UNIQUE (tenant_id, project_id, claim_number, number)
        )
        """,
    )
    protect("carbon_project", writes="INSERT, UPDATE (state, version, validator)")
    protect("project_event", writes="INSERT")
    append_only("project_event")


def _sinks() -> None:
    run(
        # Areas are in mu, as titles give them; 1 mu is 1/15 ha exactly, which no decimal is.
        """
        CREATE TABLE sink_stand (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          project_id uuid NOT NULL,
          code text NOT NULL CHECK (length(code) BETWEEN 1 AND 60),
          species text NOT NULL CHECK (species <> ''),
          area_mu numeric(18, 6) NOT NULL CHECK (area_mu > 0),
          effective_area_mu numeric(18, 6) NOT NULL,
          planted_on date NOT NULL,
          planting_plan text NOT NULL DEFAULT '',
          expected_t_per_mu_year numeric(18, 9) NOT NULL CHECK (expected_t_per_mu_year >= 0),
          recorded_by uuid NOT NULL,
          recorded_at timestamptz NOT NULL DEFAULT now(),
          superseded_at timestamptz CHECK (superseded_at >= recorded_at),
          superseded_because text CHECK (superseded_because <> ''),
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, project_id) REFERENCES carbon_project,
          CONSTRAINT effective_within_the_area CHECK (effective_area_mu BETWEEN 0 AND area_mu),
          CHECK ((superseded_at IS NULL) = (superseded_because IS NULL))
        )
        """,
        "CREATE UNIQUE INDEX sink_stand_code ON sink_stand (tenant_id, project_id, code) WHERE superseded_at IS NULL",
        """
        CREATE TABLE monitoring_round (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          project_id uuid NOT NULL,
          measured_on date NOT NULL,
          stock_t numeric(27, 9) NOT NULL CHECK (stock_t >= 0),
          uncertainty numeric(9, 6) NOT NULL CHECK (uncertainty >= 0 AND uncertainty < 1),
          evidence text NOT NULL CHECK (evidence <> ''),
          recorded_by uuid NOT NULL,
          recorded_at timestamptz NOT NULL DEFAULT now(),
          superseded_at timestamptz CHECK (superseded_at >= recorded_at),
          superseded_because text CHECK (superseded_because <> ''),
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, project_id) REFERENCES carbon_project,
          CHECK ((superseded_at IS NULL) = (superseded_because IS NULL))
        )
        """,
        "CREATE UNIQUE INDEX monitoring_round_of_day ON monitoring_round (tenant_id, project_id, measured_on) "
        "WHERE superseded_at IS NULL",
    )
    for table in ("sink_stand", "monitoring_round"):
        _superseded_once(table)


def _claims() -> None:
    run(
        # The validator stands in the claim only to be compared: the key makes it the project's own.
        "ALTER TABLE carbon_project ADD CONSTRAINT carbon_project_validated UNIQUE (tenant_id, id, validator)",
        """
        CREATE TABLE project_claim (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          project_id uuid NOT NULL,
          number integer NOT NULL CHECK (number > 0),
          period_from date NOT NULL,
          period_to date NOT NULL,
          quantity_t bigint NOT NULL CHECK (quantity_t > 0),
          verified_t bigint CHECK (verified_t BETWEEN 1 AND quantity_t),
          validator text NOT NULL,
          verifier text NOT NULL DEFAULT '',
          state text NOT NULL,
          version integer NOT NULL DEFAULT 1 CHECK (version > 0),
          lot_id uuid,
          created_by uuid NOT NULL,
          created_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, project_id, validator) REFERENCES carbon_project (tenant_id, id, validator),
          FOREIGN KEY (tenant_id, lot_id) REFERENCES asset_lot,
          CONSTRAINT project_claim_number UNIQUE (tenant_id, project_id, number),
          CONSTRAINT a_lot_is_claimed_once UNIQUE (tenant_id, lot_id),
          CONSTRAINT claimed_for_some_time CHECK (period_from < period_to),
          CONSTRAINT the_verifier_did_not_validate CHECK (verifier <> validator),
          CONSTRAINT registered_as_a_lot CHECK ((state = 'REGISTERED') = (lot_id IS NOT NULL)
            AND (lot_id IS NULL OR verifier <> '' AND verified_t IS NOT NULL)),
          CONSTRAINT a_day_is_claimed_once EXCLUDE USING gist (
            tenant_id WITH =, project_id WITH =, daterange(period_from, period_to) WITH &&
          ) WHERE (state <> 'WITHDRAWN')
        )
        """,
        """
        CREATE FUNCTION project_claim_moves_on() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF TG_OP = 'UPDATE' AND NEW.version = OLD.version + 1 AND OLD.state NOT IN ('REGISTERED', 'WITHDRAWN')
             AND to_jsonb(NEW) - '{state,version,verifier,verified_t,lot_id}'::text[]
               = to_jsonb(OLD) - '{state,version,verifier,verified_t,lot_id}'::text[] THEN
            RETURN NEW;
          END IF;
          RAISE EXCEPTION 'a claim goes its way one version at a time and ends once: % refused', TG_OP
            USING ERRCODE = 'TH003';
        END $$
        """,
        "CREATE TRIGGER project_claim_moves_on BEFORE UPDATE OR DELETE ON project_claim "
        "FOR EACH ROW EXECUTE FUNCTION project_claim_moves_on()",
    )
    protect("project_claim", writes="INSERT, UPDATE (state, version, verifier, verified_t, lot_id)")
