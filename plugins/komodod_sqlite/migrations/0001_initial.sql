-- What komodod keeps. Instants are whole microseconds since 1970 in UTC, booleans 0 or 1, structured values JSON.
-- A migration that was released is never edited; open() compares what is there with what the migrations make.

CREATE TABLE meta (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE syncs (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    origin TEXT NOT NULL,
    spec TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    declared TEXT,
    state TEXT NOT NULL,
    paused INTEGER NOT NULL CHECK (paused IN (0, 1)),
    conditions TEXT NOT NULL,
    revision TEXT,
    pending INTEGER NOT NULL,
    digest TEXT,
    headline TEXT NOT NULL,
    failures INTEGER NOT NULL,
    error TEXT,
    checked_at INTEGER,
    next_check_at INTEGER,
    requests INTEGER NOT NULL,
    requests_seen INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    apply_request TEXT,
    applied_at INTEGER,
    applied_digest TEXT,
    apply_error TEXT,
    apply_rounds INTEGER NOT NULL,
    auto_apply_at INTEGER,
    notes TEXT NOT NULL,
    cause TEXT,
    -- When a worker should claim it, NULL for never. A requested check is due before all that has an instant.
    due_at INTEGER GENERATED ALWAYS AS (
        CASE
            WHEN paused OR origin = 'builtin' THEN NULL
            WHEN requests > requests_seen THEN 0
            ELSE next_check_at
        END
    ) VIRTUAL
) STRICT;

CREATE INDEX syncs_due ON syncs (due_at, id) WHERE due_at IS NOT NULL;

CREATE TABLE sync_changes (
    sync_id TEXT NOT NULL PRIMARY KEY REFERENCES syncs (id) ON DELETE CASCADE,
    items TEXT NOT NULL,
    omitted INTEGER NOT NULL
) STRICT;

-- While an alert is open, live_sync_id makes it refer to its live sync (design D3).
CREATE TABLE alerts (
    id TEXT NOT NULL PRIMARY KEY,
    sync_id TEXT NOT NULL,
    live_sync_id TEXT REFERENCES syncs (id),
    sync_name TEXT NOT NULL,
    kind TEXT NOT NULL,
    severity TEXT NOT NULL,
    summary TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    labels TEXT NOT NULL,
    changes INTEGER NOT NULL,
    headline TEXT NOT NULL,
    paused INTEGER NOT NULL CHECK (paused IN (0, 1)),
    resolved_at INTEGER,
    resolution TEXT,
    reason TEXT,
    op_id TEXT,
    CHECK ((resolved_at IS NULL) = (live_sync_id IS NOT NULL)),
    CHECK (live_sync_id = sync_id)
) STRICT;

CREATE UNIQUE INDEX alerts_one_open ON alerts (live_sync_id, kind) WHERE live_sync_id IS NOT NULL;
CREATE INDEX alerts_open ON alerts (opened_at, id) WHERE resolved_at IS NULL;
CREATE INDEX alerts_resolved ON alerts (resolved_at) WHERE resolved_at IS NOT NULL;
CREATE INDEX alerts_by_time ON alerts (opened_at, id);
CREATE INDEX alerts_by_sync ON alerts (sync_id, opened_at, id);
CREATE INDEX alerts_by_name ON alerts (sync_name, opened_at, id);

-- Also with foreign keys off, as they are in the sqlite3 shell, nobody makes an orphan by a delete.
CREATE TRIGGER syncs_with_open_alert BEFORE DELETE ON syncs
WHEN EXISTS (SELECT 1 FROM alerts WHERE live_sync_id = OLD.id)
BEGIN
    SELECT RAISE(ABORT, 'an alert of this sync is open');
END;

CREATE TABLE notifications (
    id TEXT NOT NULL PRIMARY KEY,
    notifier TEXT NOT NULL,
    "group" TEXT NOT NULL,
    title TEXT NOT NULL,
    version INTEGER NOT NULL,
    observed INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('absent', 'shown')),
    "key" TEXT,
    receipt TEXT,
    sequence INTEGER NOT NULL,
    digest TEXT,
    shown_digest TEXT,
    shown_since INTEGER,
    attempts INTEGER NOT NULL,
    ledger TEXT NOT NULL,
    last_error TEXT,
    retry_at INTEGER,
    waiting TEXT,
    dead INTEGER,
    repeats INTEGER NOT NULL,
    abandoned INTEGER NOT NULL,
    stranded INTEGER NOT NULL CHECK (stranded IN (0, 1)),
    due_at INTEGER
) STRICT;

CREATE INDEX notifications_due ON notifications (due_at, id) WHERE due_at IS NOT NULL;

CREATE TABLE doubts (
    notification_id TEXT NOT NULL REFERENCES notifications (id) ON DELETE CASCADE,
    "key" TEXT NOT NULL,
    version INTEGER NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    digest TEXT,
    answered TEXT,
    alike INTEGER NOT NULL CHECK (alike IN (0, 1)),
    receipt TEXT,
    searched INTEGER NOT NULL,
    PRIMARY KEY (notification_id, "key")
) STRICT, WITHOUT ROWID;

-- Which notifications show an alert. resolved_at is the alert's, so that the members of a group are found without
-- reading its whole history.
CREATE TABLE alert_notifications (
    alert_id TEXT NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
    notification_id TEXT NOT NULL REFERENCES notifications (id) ON DELETE CASCADE,
    resolved_at INTEGER,
    PRIMARY KEY (alert_id, notification_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX alert_notifications_members ON alert_notifications (notification_id, resolved_at, alert_id);

CREATE TRIGGER alerts_tell_their_links AFTER UPDATE OF resolved_at ON alerts
WHEN OLD.resolved_at IS NOT NEW.resolved_at
BEGIN
    UPDATE alert_notifications SET resolved_at = NEW.resolved_at WHERE alert_id = NEW.id;
END;

-- The cursor grows in the order of the commits and is never used again. sync_id and sync_name are the snapshot's.
CREATE TABLE events (
    "cursor" INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    actor TEXT NOT NULL,
    op_id TEXT NOT NULL,
    reason TEXT,
    sync_id TEXT,
    sync_name TEXT,
    sync TEXT,
    alerts TEXT NOT NULL,
    data TEXT NOT NULL,
    hooks TEXT NOT NULL
) STRICT;

CREATE INDEX events_by_age ON events (at);
CREATE INDEX events_by_sync ON events (sync_id, "cursor") WHERE sync_id IS NOT NULL;
CREATE INDEX events_by_name ON events (sync_name, "cursor") WHERE sync_name IS NOT NULL;
CREATE INDEX events_owed ON events (at, id, hooks) WHERE hooks <> '[]';

CREATE TABLE hook_calls (
    id TEXT NOT NULL PRIMARY KEY,
    event_id TEXT NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    plugin TEXT NOT NULL,
    hook TEXT NOT NULL,
    sync_name TEXT,
    created_at INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'done', 'dead')),
    attempts INTEGER NOT NULL,
    excused INTEGER NOT NULL,
    last_error TEXT,
    due_at INTEGER,
    finished_at INTEGER
) STRICT;

CREATE INDEX hook_calls_of_event ON hook_calls (event_id, plugin);
CREATE INDEX hook_calls_due ON hook_calls (plugin, due_at, id) WHERE state = 'waiting' AND due_at IS NOT NULL;
CREATE INDEX hook_calls_by_time ON hook_calls (created_at, id);
CREATE INDEX hook_calls_unfinished ON hook_calls (state, created_at, id) WHERE state <> 'done';

-- Who holds a row, until when. Not in the rows: a result that replaces a row leaves its lease alone.
CREATE TABLE leases (
    work TEXT NOT NULL CHECK (work IN ('check', 'notification', 'hook_call')),
    row_id TEXT NOT NULL,
    worker TEXT NOT NULL,
    token TEXT NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (work, row_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX leases_of_worker ON leases (worker);

-- A row that goes takes its lease with it, whoever removes it.
CREATE TRIGGER syncs_end_their_leases AFTER DELETE ON syncs
BEGIN
    DELETE FROM leases WHERE work = 'check' AND row_id = OLD.id;
END;

CREATE TRIGGER notifications_end_their_leases AFTER DELETE ON notifications
BEGIN
    DELETE FROM leases WHERE work = 'notification' AND row_id = OLD.id;
END;

CREATE TRIGGER hook_calls_end_their_leases AFTER DELETE ON hook_calls
BEGIN
    DELETE FROM leases WHERE work = 'hook_call' AND row_id = OLD.id;
END;
