-- What breaks the store's invariants: how many rows each looks at, and those that break it, by id. They find what
-- the walk through the lists (komodod/storage/breaches.py) finds, in one query each.

-- name: checked_open_alert_has_sync
-- Open alerts.
SELECT count(*) FROM alerts WHERE live_sync_id IS NOT NULL;

-- name: breaches_open_alert_has_sync
-- Open alerts whose sync is gone.
SELECT * FROM alerts INDEXED BY alerts_one_open
WHERE live_sync_id IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM syncs WHERE syncs.id = live_sync_id)
    AND id > :after
ORDER BY id
LIMIT :limit;

-- name: checked_open_alert_matches_state
-- Syncs.
SELECT count(*) FROM syncs;

-- name: breaches_open_alert_matches_state
-- Syncs whose open alerts are not their conditions.
SELECT * FROM syncs
WHERE id > :after AND (
    EXISTS (
        SELECT 1 FROM json_each(conditions) AS wanted WHERE NOT EXISTS (
            SELECT 1 FROM alerts WHERE live_sync_id = syncs.id AND kind = wanted.value
        )
    )
    OR EXISTS (
        SELECT 1 FROM alerts WHERE live_sync_id = syncs.id AND kind NOT IN (
            SELECT value FROM json_each(syncs.conditions)
        )
    )
)
ORDER BY id
LIMIT :limit;

-- name: checked_notification_matches_alerts
-- Notifications.
SELECT count(*) FROM notifications;

-- name: breaches_notification_matches_alerts
-- Notifications that are wrong, or have work left, and that nothing would ever look at again.
SELECT * FROM notifications
WHERE id > :after
    AND due_at IS NULL
    AND dead IS NOT version
    AND NOT stranded
    AND NOT EXISTS (SELECT 1 FROM leases WHERE work = 'notification' AND row_id = notifications.id)
    AND (
        version <> observed
        OR EXISTS (SELECT 1 FROM doubts WHERE notification_id = notifications.id)
        OR (state = 'shown') <> EXISTS (
            SELECT 1 FROM alert_notifications AS links
            WHERE links.notification_id = notifications.id AND links.resolved_at IS NULL
        )
    )
ORDER BY id
LIMIT :limit;

-- name: checked_no_expired_lease
-- Leases.
SELECT count(*) FROM leases;

-- name: breaches_no_expired_lease
-- Leases that have ended.
SELECT * FROM leases
WHERE (work, row_id) > (:work, :row_id) AND until <= :now
ORDER BY work, row_id
LIMIT :limit;

-- name: checked_event_has_hook_calls
-- Events that name plugins to be told.
SELECT count(*) FROM events WHERE hooks <> '[]';

-- name: breaches_event_has_hook_calls
-- Events whose hook calls are not all queued.
SELECT * FROM events INDEXED BY events_owed
WHERE hooks <> '[]' AND id > :after AND EXISTS (
    SELECT 1 FROM json_each(events.hooks) AS owed WHERE NOT EXISTS (
        SELECT 1 FROM hook_calls WHERE event_id = events.id AND plugin = owed.value
    )
)
ORDER BY id
LIMIT :limit;

-- name: queued_plugins
-- The plugins that a hook call about the event is queued for.
SELECT plugin FROM hook_calls WHERE event_id = :id;
