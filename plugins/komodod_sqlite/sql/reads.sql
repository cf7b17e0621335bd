-- Reads of one thing.

-- name: epoch
-- The store's epoch.
SELECT value FROM meta WHERE name = 'epoch';

-- name: get_sync
-- The sync of this id.
SELECT * FROM syncs WHERE id = :id;

-- name: find_sync
-- The sync of this name.
SELECT * FROM syncs WHERE name = :name;

-- name: get_changes
-- The stored changes of a sync.
SELECT items, omitted FROM sync_changes WHERE sync_id = :id;

-- name: get_alert
-- The alert of this id.
SELECT * FROM alerts WHERE id = :id;

-- name: open_alerts
-- The open alerts of a sync, by kind.
SELECT * FROM alerts WHERE live_sync_id = :id ORDER BY kind;

-- name: get_notification
-- The notification of this id.
SELECT * FROM notifications WHERE id = :id;

-- name: doubts
-- The doubts about these notifications, by key.
SELECT * FROM doubts WHERE notification_id IN (SELECT value FROM json_each(:ids)) ORDER BY notification_id, "key";

-- name: get_hook_call
-- The hook call of this id.
SELECT * FROM hook_calls WHERE id = :id;

-- name: get_event
-- The event of this id.
SELECT * FROM events WHERE id = :id;

-- name: open_members
-- The open alerts that a notification shows, oldest first.
SELECT alerts.* FROM alert_notifications AS links JOIN alerts ON alerts.id = links.alert_id
WHERE links.notification_id = :id AND links.resolved_at IS NULL
ORDER BY alerts.opened_at, alerts.id;

-- name: last_member
-- The alert of a notification that was resolved last.
SELECT alerts.* FROM alert_notifications AS links JOIN alerts ON alerts.id = links.alert_id
WHERE links.notification_id = :id AND links.resolved_at IS NOT NULL
ORDER BY links.resolved_at DESC, links.alert_id DESC
LIMIT 1;

-- name: count_syncs
-- How many syncs of ours are in each state.
SELECT state, count(*) FROM syncs WHERE origin <> 'builtin' GROUP BY state;

-- name: count_paused
-- How many syncs are paused.
SELECT count(*) FROM syncs WHERE paused;

-- name: count_open_alerts
-- How many alerts of each kind are open.
SELECT kind, count(*) FROM alerts WHERE live_sync_id IS NOT NULL GROUP BY kind;

-- name: count_notifications
-- How many notifications are shown, dirty, in doubt, dead, stranded.
SELECT
    count(*) FILTER (WHERE state = 'shown') AS shown,
    count(*) FILTER (WHERE dead IS NOT version AND (version <> observed OR doubtful)) AS dirty,
    count(*) FILTER (WHERE doubtful) AS in_doubt,
    count(*) FILTER (WHERE dead IS version) AS dead_notifications,
    count(*) FILTER (WHERE stranded) AS stranded
FROM (SELECT *, EXISTS (SELECT 1 FROM doubts WHERE notification_id = notifications.id) AS doubtful FROM notifications);

-- name: count_hook_calls
-- How many hook calls wait, and how many are dead.
SELECT state, count(*) FROM hook_calls WHERE state <> 'done' GROUP BY state;
