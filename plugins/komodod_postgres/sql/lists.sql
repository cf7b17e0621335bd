-- Lists. {where} stands for the conditions that a filter sets; the keys of the page before are always among them.

-- name: list_syncs
-- Syncs by name.
SELECT to_json(syncs)::text FROM komodod.syncs WHERE {where} ORDER BY name LIMIT %(limit)s;

-- name: list_alerts
-- Alerts, newest first.
SELECT to_json(alerts)::text FROM komodod.alerts WHERE {where} ORDER BY opened_at DESC, id DESC LIMIT %(limit)s;

-- name: list_notifications
-- Notifications by id, their doubts with them.
SELECT to_json(whole)::text FROM komodod.whole_notifications AS whole WHERE {where} ORDER BY id LIMIT %(limit)s;

-- name: list_hook_calls
-- Hook calls, newest first.
SELECT to_json(hook_calls)::text FROM komodod.hook_calls WHERE {where} ORDER BY created_at DESC, id DESC LIMIT %(limit)s;

-- name: list_events
-- Events in the order of their cursors.
SELECT to_json(events)::text FROM komodod.events WHERE {where} ORDER BY "cursor" LIMIT %(limit)s;

-- name: list_recent_events
-- Events, newest first.
SELECT to_json(events)::text FROM komodod.events WHERE {where} ORDER BY "cursor" DESC LIMIT %(limit)s;

-- name: list_leases
-- Leases by work and row.
SELECT work, row_id, worker, token, until FROM komodod.leases
WHERE (work, row_id) > (%(work)s, %(row_id)s) ORDER BY work, row_id LIMIT %(limit)s;
