-- Reads of one thing, each of one moment because it is one statement.

-- name: get_sync
-- The sync of this id.
SELECT to_json(syncs)::text FROM komodod.syncs WHERE id = %(id)s;

-- name: find_sync
-- The sync of this name.
SELECT to_json(syncs)::text FROM komodod.syncs WHERE name = %(name)s;

-- name: get_changes
-- The stored changes of a sync.
SELECT to_json(sync_changes)::text FROM komodod.sync_changes WHERE sync_id = %(id)s;

-- name: load_aggregate
-- The sync and its open alerts, by kind.
SELECT json_build_object(
    'sync', syncs,
    'alerts', coalesce((SELECT json_agg(alerts ORDER BY kind) FROM komodod.alerts WHERE live_sync_id = syncs.id), '[]')
)::text
FROM komodod.syncs WHERE id = %(id)s;

-- name: get_alert
-- The alert of this id.
SELECT to_json(alerts)::text FROM komodod.alerts WHERE id = %(id)s;

-- name: get_notification
-- The notification of this id, its doubts with it.
SELECT to_json(whole)::text FROM komodod.whole_notifications AS whole WHERE id = %(id)s;

-- name: get_hook_call
-- The hook call of this id.
SELECT to_json(hook_calls)::text FROM komodod.hook_calls WHERE id = %(id)s;

-- name: get_event
-- The event of this id.
SELECT to_json(events)::text FROM komodod.events WHERE id = %(id)s;

-- name: load_members
-- For each notification the open alerts that it shows, oldest first, and the one that was resolved last.
SELECT wanted, json_build_object(
    'open', coalesce((
        SELECT json_agg(alerts ORDER BY alerts.opened_at, alerts.id)
        FROM komodod.alert_notifications AS links JOIN komodod.alerts ON alerts.id = links.alert_id
        WHERE links.notification_id = wanted AND links.resolved_at IS NULL
    ), '[]'),
    'last', (
        SELECT to_json(alerts)
        FROM komodod.alert_notifications AS links JOIN komodod.alerts ON alerts.id = links.alert_id
        WHERE links.notification_id = wanted AND links.resolved_at IS NOT NULL
        ORDER BY links.resolved_at DESC, links.alert_id DESC LIMIT 1
    )
)::text
FROM unnest(%(ids)s::text[]) AS wanted;

-- name: counts
-- How much there is of what, for people.
SELECT
    (SELECT json_object_agg(state, number) FROM (
        SELECT state, count(*) AS number FROM komodod.syncs WHERE origin <> 'builtin' GROUP BY state
    ) AS each) AS syncs,
    (SELECT count(*) FROM komodod.syncs WHERE paused) AS paused,
    (SELECT json_object_agg(kind, number) FROM (
        SELECT kind, count(*) AS number FROM komodod.alerts WHERE live_sync_id IS NOT NULL GROUP BY kind
    ) AS each) AS open_alerts,
    (SELECT count(*) FROM komodod.hook_calls WHERE state = 'waiting' AND state <> 'done') AS waiting_hook_calls,
    (SELECT count(*) FROM komodod.hook_calls WHERE state = 'dead' AND state <> 'done') AS dead_hook_calls,
    count(*) FILTER (WHERE state = 'shown') AS shown,
    count(*) FILTER (WHERE dead IS DISTINCT FROM version AND (version <> observed OR doubtful)) AS dirty,
    count(*) FILTER (WHERE doubtful) AS in_doubt,
    count(*) FILTER (WHERE dead = version) AS dead_notifications,
    count(*) FILTER (WHERE stranded) AS stranded
FROM (
    SELECT *, id IN (SELECT notification_id FROM komodod.doubts) AS doubtful FROM komodod.notifications
) AS notifications;

-- name: ping
-- Show that the store can write.
UPDATE komodod.meta SET value = clock_timestamp()::text WHERE name = 'pinged_at' RETURNING value;
