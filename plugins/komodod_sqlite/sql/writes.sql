-- The writes of a batch. What the schema forbids (keys, uniqueness, the triggers) fails as a constraint.

-- name: put_sync
-- Insert or replace a sync; one that is there keeps its requests.
INSERT INTO syncs (
    id, name, origin, spec, created_at, updated_at, generation, declared, state, paused, conditions, revision, pending,
    digest, headline, failures, error, checked_at, next_check_at, requests, requests_seen, attempts, apply_request,
    applied_at, applied_digest, apply_error, apply_rounds, auto_apply_at, notes,
    cause
) VALUES (
    :id, :name, :origin, :spec, :created_at, :updated_at, :generation, :declared, :state, :paused, :conditions,
    :revision, :pending, :digest, :headline, :failures, :error, :checked_at, :next_check_at, :requests, :requests_seen,
    :attempts, :apply_request, :applied_at, :applied_digest, :apply_error, :apply_rounds, :auto_apply_at, :notes,
    :cause
)
ON CONFLICT (id) DO UPDATE SET
    name = excluded.name,
    origin = excluded.origin,
    spec = excluded.spec,
    created_at = excluded.created_at,
    updated_at = excluded.updated_at,
    generation = excluded.generation,
    declared = excluded.declared,
    state = excluded.state,
    paused = excluded.paused,
    conditions = excluded.conditions,
    revision = excluded.revision,
    pending = excluded.pending,
    digest = excluded.digest,
    headline = excluded.headline,
    failures = excluded.failures,
    error = excluded.error,
    checked_at = excluded.checked_at,
    next_check_at = excluded.next_check_at,
    requests_seen = excluded.requests_seen,
    attempts = excluded.attempts,
    apply_request = excluded.apply_request,
    applied_at = excluded.applied_at,
    applied_digest = excluded.applied_digest,
    apply_error = excluded.apply_error,
    apply_rounds = excluded.apply_rounds,
    auto_apply_at = excluded.auto_apply_at,
    cause = excluded.cause,
    notes = excluded.notes;

-- name: put_changes
-- Insert or replace the stored changes of a sync.
INSERT INTO sync_changes (sync_id, items, omitted) VALUES (:sync_id, :items, :omitted)
ON CONFLICT (sync_id) DO UPDATE SET items = excluded.items, omitted = excluded.omitted;

-- name: request_check
-- Count one more wish to have the sync checked.
UPDATE syncs SET requests = requests + 1 WHERE id = :sync_id;

-- name: delete_sync
-- Remove a sync; its stored changes and its lease go with it.
DELETE FROM syncs WHERE id = :sync_id;

-- name: change_alert
-- Replace an alert that is about what it was about: most of the indexes need no change then.
UPDATE alerts SET
    live_sync_id = CASE WHEN :resolved_at IS NULL THEN :sync_id END,
    severity = :severity,
    summary = :summary,
    updated_at = :updated_at,
    labels = :labels,
    changes = :changes,
    headline = :headline,
    paused = :paused,
    resolved_at = :resolved_at,
    resolution = :resolution,
    reason = :reason,
    op_id = :op_id
WHERE id = :id AND sync_id = :sync_id AND sync_name = :sync_name AND kind = :kind AND opened_at = :opened_at;

-- name: put_alert
-- Insert or replace an alert; while open it refers to its live sync.
INSERT INTO alerts (
    id, sync_id, live_sync_id, sync_name, kind, severity, summary, opened_at, updated_at, labels, changes, headline,
    paused, resolved_at, resolution, reason, op_id
) VALUES (
    :id, :sync_id, CASE WHEN :resolved_at IS NULL THEN :sync_id END, :sync_name, :kind, :severity, :summary,
    :opened_at, :updated_at, :labels, :changes, :headline, :paused, :resolved_at, :resolution, :reason, :op_id
)
ON CONFLICT (id) DO UPDATE SET
    sync_id = excluded.sync_id,
    live_sync_id = excluded.live_sync_id,
    sync_name = excluded.sync_name,
    kind = excluded.kind,
    severity = excluded.severity,
    summary = excluded.summary,
    opened_at = excluded.opened_at,
    updated_at = excluded.updated_at,
    labels = excluded.labels,
    changes = excluded.changes,
    headline = excluded.headline,
    paused = excluded.paused,
    resolved_at = excluded.resolved_at,
    resolution = excluded.resolution,
    reason = excluded.reason,
    op_id = excluded.op_id;

-- name: raise_notification
-- Mark the notification dirty, making it if it is new, and tell its version.
INSERT INTO notifications (
    id, notifier, "group", title, version, observed, state, sequence, attempts, ledger, repeats, abandoned, stranded,
    due_at
) VALUES (:id, :notifier, :group, :title, 1, 0, 'absent', 0, 0, '[]', 0, 0, 0, :now)
ON CONFLICT (id) DO UPDATE SET version = version + 1, due_at = min(ifnull(due_at, :now), :now)
RETURNING version;

-- name: link
-- Show the alert in the notification.
INSERT INTO alert_notifications (alert_id, notification_id, resolved_at)
VALUES (:alert_id, :row_id, (SELECT resolved_at FROM alerts WHERE id = :alert_id))
ON CONFLICT DO NOTHING;

-- name: unlink
-- Show the alert in the notification no longer.
DELETE FROM alert_notifications WHERE alert_id = :alert_id AND notification_id = :row_id;

-- name: touch
-- Mark all notifications of the alert dirty.
UPDATE notifications SET version = version + 1, due_at = min(ifnull(due_at, :now), :now)
WHERE id IN (SELECT notification_id FROM alert_notifications WHERE alert_id = :alert_id);

-- name: mark_dirty
-- Mark the notification dirty.
UPDATE notifications SET version = version + 1, due_at = min(ifnull(due_at, :now), :now) WHERE id = :row_id;

-- name: put_notification
-- Replace a notification, all but its version; one that was marked meanwhile is due now.
UPDATE notifications SET
    notifier = :notifier,
    "group" = :group,
    title = :title,
    observed = :observed,
    state = :state,
    "key" = :key,
    receipt = :receipt,
    sequence = :sequence,
    digest = :digest,
    shown_digest = :shown_digest,
    shown_since = :shown_since,
    attempts = :attempts,
    ledger = :ledger,
    last_error = :last_error,
    retry_at = :retry_at,
    waiting = :waiting,
    dead = :dead,
    repeats = :repeats,
    abandoned = :abandoned,
    stranded = :stranded,
    due_at = CASE WHEN version > :version THEN :now ELSE :due_at END
WHERE id = :id;

-- name: prolong_doubt
-- Raise the end of a doubt that came later than this one.
UPDATE doubts SET until = max(until, :until)
WHERE notification_id = :row_id AND "key" = :key AND version > :version;

-- name: put_doubt
-- Insert a doubt, or replace the one of its key that did not come later.
INSERT INTO doubts (notification_id, "key", version, since, until, sequence, digest, answered, alike, receipt, searched)
SELECT :row_id, :key, :version, :since, :until, :sequence, :digest, :answered, :alike, :receipt, :searched
WHERE EXISTS (SELECT 1 FROM notifications WHERE id = :row_id)
ON CONFLICT (notification_id, "key") DO UPDATE SET
    version = excluded.version,
    since = excluded.since,
    until = excluded.until,
    sequence = excluded.sequence,
    digest = excluded.digest,
    answered = excluded.answered,
    alike = excluded.alike,
    receipt = excluded.receipt,
    searched = excluded.searched
WHERE version <= excluded.version;

-- name: drop_doubt
-- Remove the doubt about the key unless it came later.
DELETE FROM doubts WHERE notification_id = :row_id AND "key" = :key AND version <= :version;

-- name: drop_notification
-- Remove a notification; its links, its doubts and its lease go with it.
DELETE FROM notifications WHERE id = :row_id;

-- name: append_event
-- Append an event; it gets the next cursor.
INSERT INTO events (id, at, kind, actor, op_id, reason, sync_id, sync_name, sync, alerts, data, hooks)
VALUES (:id, :at, :kind, :actor, :op_id, :reason, :sync_id, :sync_name, :sync, :alerts, :data, :hooks);

-- name: queue_hook_call
-- Insert a hook call unless it is there already.
INSERT INTO hook_calls (
    id, event_id, plugin, hook, sync_name, created_at, state, attempts, excused, last_error, due_at, finished_at
) VALUES (
    :id, :event_id, :plugin, :hook, :sync_name, :created_at, :state, :attempts, :excused, :last_error,
    :due_at, :finished_at
)
ON CONFLICT (id) DO NOTHING;

-- name: put_hook_call
-- Replace a hook call.
UPDATE hook_calls SET
    event_id = :event_id,
    plugin = :plugin,
    hook = :hook,
    sync_name = :sync_name,
    created_at = :created_at,
    state = :state,
    attempts = :attempts,
    excused = :excused,
    last_error = :last_error,
    due_at = :due_at,
    finished_at = :finished_at
WHERE id = :id;

-- name: forgive_hook_call
-- Take the plugin of the hook call out of those that its event owes a call.
UPDATE events SET hooks = (
    SELECT json_group_array(value) FROM json_each(events.hooks)
    WHERE value <> (SELECT plugin FROM hook_calls WHERE id = :call_id)
)
WHERE id = (SELECT event_id FROM hook_calls WHERE id = :call_id);

-- name: drop_hook_call
-- Remove a hook call; its lease goes with it.
DELETE FROM hook_calls WHERE id = :call_id;

-- name: release
-- End the lease on the row.
DELETE FROM leases WHERE work = :work AND row_id = :row_id;

-- name: purge_alerts
-- Remove the oldest resolved alerts; their links go with them.
DELETE FROM alerts WHERE id IN (
    SELECT id FROM alerts WHERE resolved_at < :before ORDER BY resolved_at LIMIT :limit
);

-- name: purge_events
-- Remove the oldest events without an unfinished hook call; their finished calls go with them.
DELETE FROM events WHERE "cursor" IN (
    SELECT "cursor" FROM events
    WHERE at < :before AND NOT EXISTS (
        SELECT 1 FROM hook_calls WHERE event_id = events.id AND state <> 'done'
    )
    ORDER BY at LIMIT :limit
);

-- name: purge_notifications
-- Remove notifications at rest that no alert is linked to.
DELETE FROM notifications WHERE id IN (
    SELECT id FROM notifications AS idle
    WHERE state = 'absent'
        AND version = observed
        AND NOT EXISTS (SELECT 1 FROM doubts WHERE notification_id = idle.id)
        AND NOT EXISTS (SELECT 1 FROM alert_notifications WHERE notification_id = idle.id)
        AND NOT EXISTS (SELECT 1 FROM leases WHERE work = 'notification' AND row_id = idle.id)
    LIMIT :limit
);

-- name: found
-- Write down what belongs to the store itself, if it is new.
INSERT INTO meta (name, value) VALUES ('epoch', :epoch), ('pinged_at', '0') ON CONFLICT DO NOTHING;

-- name: ping
-- Show that the store can write.
UPDATE meta SET value = :now WHERE name = 'pinged_at';
