-- What breaks the store's invariants: how many rows each looks at, and those that break it, by id. They find what
-- the walk through the lists (komodod/storage/breaches.py) finds, in one query each.

-- name: checked_open_alert_has_sync
-- Open alerts.
SELECT count(*) FROM komodod.alerts WHERE live_sync_id IS NOT NULL;

-- name: breaches_open_alert_has_sync
-- Open alerts whose sync is gone.
SELECT to_json(alerts)::text, id FROM komodod.alerts
WHERE live_sync_id IS NOT NULL
    AND NOT EXISTS (SELECT FROM komodod.syncs WHERE syncs.id = live_sync_id)
    AND id > %(after)s
ORDER BY id
LIMIT %(limit)s;

-- name: checked_open_alert_matches_state
-- Syncs.
SELECT count(*) FROM komodod.syncs;

-- name: breaches_open_alert_matches_state
-- Syncs whose open alerts are not their conditions, with those alerts.
WITH standing AS (
    SELECT live_sync_id, array_agg(kind::text) AS kinds FROM komodod.alerts
    WHERE live_sync_id IS NOT NULL GROUP BY live_sync_id
)
SELECT json_build_object(
    'sync', syncs,
    'alerts', coalesce((SELECT json_agg(alerts ORDER BY kind) FROM komodod.alerts WHERE live_sync_id = syncs.id), '[]')
)::text, id
FROM komodod.syncs LEFT JOIN standing ON standing.live_sync_id = syncs.id
WHERE id > %(after)s
    AND NOT (conditions <@ coalesce(standing.kinds, '{}') AND conditions @> coalesce(standing.kinds, '{}'))
ORDER BY id
LIMIT %(limit)s;

-- name: checked_notification_matches_alerts
-- Notifications.
SELECT count(*) FROM komodod.notifications;

-- name: breaches_notification_matches_alerts
-- Notifications that are wrong, or have work left, and that nothing would ever look at again.
SELECT to_json(whole)::text, id FROM komodod.whole_notifications AS whole
WHERE id > %(after)s
    AND due_at IS NULL
    AND dead IS DISTINCT FROM version
    AND NOT stranded
    AND leased_by IS NULL
    AND (
        version <> observed
        OR id IN (SELECT notification_id FROM komodod.doubts)
        OR (state = 'shown') <> EXISTS (
            SELECT FROM komodod.alert_notifications AS links
            WHERE links.notification_id = whole.id AND links.resolved_at IS NULL
        )
    )
ORDER BY id
LIMIT %(limit)s;

-- name: checked_no_expired_lease
-- Leases.
SELECT count(*) FROM komodod.leases;

-- name: breaches_no_expired_lease
-- Leases that have ended.
SELECT work, row_id, worker, token, until FROM komodod.leases
WHERE (work, row_id) > (%(work)s, %(row_id)s) AND until <= coalesce(%(now)s::timestamptz, clock_timestamp())
ORDER BY work, row_id
LIMIT %(limit)s;

-- name: checked_event_has_hook_calls
-- Events that name plugins to be told.
SELECT count(*) FROM komodod.events WHERE hooks <> '{}';

-- name: breaches_event_has_hook_calls
-- Events whose hook calls are not all queued, with the plugins that lack theirs.
SELECT to_json(events)::text, id, ARRAY(
    SELECT owed FROM unnest(hooks) WITH ORDINALITY AS named (owed, place)
    WHERE NOT EXISTS (SELECT FROM komodod.hook_calls WHERE event_id = events.id AND plugin = owed)
    ORDER BY place
)
FROM komodod.events
WHERE hooks <> '{}' AND id > %(after)s AND EXISTS (
    SELECT FROM unnest(hooks) AS owed
    WHERE NOT EXISTS (SELECT FROM komodod.hook_calls WHERE event_id = events.id AND plugin = owed)
)
ORDER BY id
LIMIT %(limit)s;
