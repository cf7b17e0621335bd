-- What komodod keeps, in a schema of its own. A migration that was released is never edited.
--
-- A row goes in and comes out as one JSON object (to_json, json_populate_record), a key for each column. What is only
-- carried is json: it comes out as it went in. What a question looks into is jsonb or an array. Texts are compared by
-- their code points, whatever collation the database has.

CREATE TABLE komodod.meta (
    name text COLLATE "C" PRIMARY KEY,
    value text NOT NULL
);

CREATE TABLE komodod.syncs (
    id text COLLATE "C" PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    origin text NOT NULL,
    spec json NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    generation bigint NOT NULL,
    declared text,
    state text NOT NULL,
    paused boolean NOT NULL,
    conditions text[] NOT NULL,
    revision text,
    pending bigint NOT NULL,
    digest text,
    headline json NOT NULL,
    failures bigint NOT NULL,
    error text,
    checked_at timestamptz,
    next_check_at timestamptz,
    requests bigint NOT NULL,
    requests_seen bigint NOT NULL,
    attempts bigint NOT NULL,
    apply_request json,
    applied_at timestamptz,
    applied_digest text,
    apply_error text,
    apply_rounds bigint NOT NULL,
    auto_apply_at timestamptz,
    notes json NOT NULL,
    cause text,
    labels jsonb NOT NULL GENERATED ALWAYS AS ((spec -> 'labels')::jsonb) STORED,
    -- When a worker should claim it, NULL for never. A requested check is due before all that has an instant.
    due_at timestamptz GENERATED ALWAYS AS (
        CASE
            WHEN paused OR origin = 'builtin' THEN NULL
            WHEN requests > requests_seen THEN timestamptz '1970-01-01 00:00:00+00'
            ELSE next_check_at
        END
    ) STORED,
    -- The lease is in the row that it is about: a claim that waited for nobody sees at once whether it came too late.
    leased_by text COLLATE "C",
    lease_token text,
    leased_until timestamptz,
    CONSTRAINT syncs_name_key UNIQUE (name),
    CONSTRAINT syncs_lease_whole CHECK (num_nulls(leased_by, lease_token, leased_until) IN (0, 3))
);

CREATE INDEX syncs_due ON komodod.syncs (due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX syncs_leased ON komodod.syncs (leased_by) WHERE leased_by IS NOT NULL;

CREATE TABLE komodod.sync_changes (
    sync_id text COLLATE "C" PRIMARY KEY REFERENCES komodod.syncs (id) ON DELETE CASCADE,
    items json NOT NULL,
    omitted bigint NOT NULL
);

CREATE TABLE komodod.alerts (
    id text COLLATE "C" PRIMARY KEY,
    sync_id text COLLATE "C" NOT NULL,
    sync_name text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    severity text NOT NULL,
    summary text NOT NULL,
    opened_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    labels jsonb NOT NULL,
    changes bigint NOT NULL,
    headline json NOT NULL,
    paused boolean NOT NULL,
    resolved_at timestamptz,
    resolution text,
    reason text,
    op_id text,
    -- While an alert is open it refers to its live sync (design D3); nobody can write this column.
    live_sync_id text COLLATE "C" GENERATED ALWAYS AS (CASE WHEN resolved_at IS NULL THEN sync_id END) STORED,
    CONSTRAINT alerts_live_sync FOREIGN KEY (live_sync_id) REFERENCES komodod.syncs (id)
);

CREATE UNIQUE INDEX alerts_one_open ON komodod.alerts (live_sync_id, kind) WHERE live_sync_id IS NOT NULL;
CREATE INDEX alerts_open ON komodod.alerts (opened_at, id) WHERE resolved_at IS NULL;
CREATE INDEX alerts_resolved ON komodod.alerts (resolved_at) WHERE resolved_at IS NOT NULL;
CREATE INDEX alerts_by_time ON komodod.alerts (opened_at, id);
CREATE INDEX alerts_by_sync ON komodod.alerts (sync_id, opened_at, id);
CREATE INDEX alerts_by_name ON komodod.alerts (sync_name, opened_at, id);

CREATE TABLE komodod.notifications (
    id text COLLATE "C" PRIMARY KEY,
    notifier text COLLATE "C" NOT NULL,
    "group" text COLLATE "C" NOT NULL,
    title text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    observed bigint NOT NULL,
    state text NOT NULL,
    "key" text,
    receipt json,
    sequence bigint NOT NULL,
    digest text,
    shown_digest text,
    shown_since timestamptz,
    attempts bigint NOT NULL,
    ledger json NOT NULL,
    last_error text,
    retry_at timestamptz,
    waiting text,
    dead bigint,
    repeats bigint NOT NULL,
    abandoned bigint NOT NULL,
    stranded boolean NOT NULL,
    due_at timestamptz,
    leased_by text COLLATE "C",
    lease_token text,
    leased_until timestamptz,
    CONSTRAINT notifications_state CHECK (state IN ('absent', 'shown')),
    CONSTRAINT notifications_lease_whole CHECK (num_nulls(leased_by, lease_token, leased_until) IN (0, 3))
);

CREATE INDEX notifications_due ON komodod.notifications (due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX notifications_leased ON komodod.notifications (leased_by) WHERE leased_by IS NOT NULL;

CREATE TABLE komodod.doubts (
    notification_id text COLLATE "C" NOT NULL REFERENCES komodod.notifications (id) ON DELETE CASCADE,
    "key" text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz NOT NULL,
    sequence bigint NOT NULL,
    digest text,
    answered text,
    alike boolean NOT NULL,
    receipt json,
    searched bigint NOT NULL,
    PRIMARY KEY (notification_id, "key")
);

-- Which notifications show an alert. resolved_at is the alert's, so that the members of a group are found without
-- reading its whole history.
CREATE TABLE komodod.alert_notifications (
    alert_id text COLLATE "C" NOT NULL REFERENCES komodod.alerts (id) ON DELETE CASCADE,
    notification_id text COLLATE "C" NOT NULL REFERENCES komodod.notifications (id) ON DELETE CASCADE,
    resolved_at timestamptz,
    PRIMARY KEY (alert_id, notification_id)
);

CREATE INDEX alert_notifications_members ON komodod.alert_notifications (notification_id, resolved_at, alert_id);

CREATE FUNCTION komodod.tell_links() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE komodod.alert_notifications SET resolved_at = NEW.resolved_at WHERE alert_id = NEW.id;
    RETURN NULL;
END
$$;

CREATE TRIGGER alerts_tell_their_links AFTER UPDATE ON komodod.alerts
FOR EACH ROW WHEN (OLD.resolved_at IS DISTINCT FROM NEW.resolved_at) EXECUTE FUNCTION komodod.tell_links();

-- The cursor grows in the order of the commits (see komodod.commit) and is never used again. sync_id and sync_name are
-- the snapshot's.
CREATE TABLE komodod.events (
    "cursor" bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    id text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL,
    kind text NOT NULL,
    actor text NOT NULL,
    op_id text NOT NULL,
    reason text,
    sync json,
    alerts json NOT NULL,
    data json NOT NULL,
    hooks text[] NOT NULL,
    sync_id text COLLATE "C" GENERATED ALWAYS AS (sync ->> 'id') STORED,
    sync_name text COLLATE "C" GENERATED ALWAYS AS (sync ->> 'name') STORED,
    CONSTRAINT events_id_key UNIQUE (id)
);

CREATE INDEX events_by_age ON komodod.events (at);
CREATE INDEX events_by_sync ON komodod.events (sync_id, "cursor") WHERE sync_id IS NOT NULL;
CREATE INDEX events_by_name ON komodod.events (sync_name, "cursor") WHERE sync_name IS NOT NULL;
CREATE INDEX events_owed ON komodod.events (id) INCLUDE (hooks) WHERE hooks <> '{}';

CREATE TABLE komodod.hook_calls (
    id text COLLATE "C" PRIMARY KEY,
    event_id text COLLATE "C" NOT NULL REFERENCES komodod.events (id) ON DELETE CASCADE,
    plugin text COLLATE "C" NOT NULL,
    hook text NOT NULL,
    sync_name text COLLATE "C",
    created_at timestamptz NOT NULL,
    state text COLLATE "C" NOT NULL,
    attempts bigint NOT NULL,
    excused bigint NOT NULL,
    last_error text,
    due_at timestamptz,
    finished_at timestamptz,
    leased_by text COLLATE "C",
    lease_token text,
    leased_until timestamptz,
    CONSTRAINT hook_calls_state CHECK (state IN ('waiting', 'done', 'dead')),
    CONSTRAINT hook_calls_lease_whole CHECK (num_nulls(leased_by, lease_token, leased_until) IN (0, 3))
);

CREATE INDEX hook_calls_of_event ON komodod.hook_calls (event_id, plugin);
CREATE INDEX hook_calls_due ON komodod.hook_calls (plugin, due_at, id) WHERE state = 'waiting' AND due_at IS NOT NULL;
CREATE INDEX hook_calls_by_time ON komodod.hook_calls (created_at, id);
CREATE INDEX hook_calls_unfinished ON komodod.hook_calls (state, created_at, id) WHERE state <> 'done';
CREATE INDEX hook_calls_leased ON komodod.hook_calls (leased_by) WHERE leased_by IS NOT NULL;

-- Who carries out the duties that must run once, until when.
CREATE TABLE komodod.leads (
    duty text COLLATE "C" PRIMARY KEY,
    holder text NOT NULL,
    token text NOT NULL,
    until timestamptz NOT NULL
);

CREATE VIEW komodod.leases AS
SELECT 'check' COLLATE "C" AS work, id AS row_id, leased_by AS worker, lease_token AS token, leased_until AS until
FROM komodod.syncs WHERE leased_by IS NOT NULL
UNION ALL
SELECT 'hook_call', id, leased_by, lease_token, leased_until FROM komodod.hook_calls WHERE leased_by IS NOT NULL
UNION ALL
SELECT 'notification', id, leased_by, lease_token, leased_until FROM komodod.notifications WHERE leased_by IS NOT NULL;

-- Notifications with their doubts, by key.
CREATE VIEW komodod.whole_notifications AS
SELECT notifications.*, coalesce(
    (SELECT json_agg(doubts ORDER BY doubts."key") FROM komodod.doubts WHERE notification_id = notifications.id), '[]'
) AS doubts
FROM komodod.notifications;
