-- Lists. {where} stands for the conditions that a filter sets; the keys of the page before are always among them.

-- name: list_syncs
-- Syncs by name.
SELECT * FROM syncs WHERE {where} ORDER BY name LIMIT :limit;

-- name: list_alerts
-- Alerts, newest first.
SELECT * FROM alerts WHERE {where} ORDER BY opened_at DESC, id DESC LIMIT :limit;

-- name: list_notifications
-- Notifications by id.
SELECT * FROM notifications WHERE {where} ORDER BY id LIMIT :limit;

-- name: list_hook_calls
-- Hook calls, newest first.
SELECT * FROM hook_calls WHERE {where} ORDER BY created_at DESC, id DESC LIMIT :limit;

-- name: list_events
-- Events in the order of their cursors.
SELECT * FROM events WHERE {where} ORDER BY "cursor" LIMIT :limit;

-- name: list_recent_events
-- Events, newest first.
SELECT * FROM events WHERE {where} ORDER BY "cursor" DESC LIMIT :limit;

-- name: list_leases
-- Leases by work and row.
SELECT * FROM leases WHERE (work, row_id) > (:work, :row_id) ORDER BY work, row_id LIMIT :limit;
