-- What must hold for a batch to be applied: a row comes back where it does.

-- name: sync_at
-- The sync is at this generation.
SELECT 1 FROM syncs WHERE id = :sync_id AND generation = :generation;

-- name: sync_gone
-- No sync has this id.
SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM syncs WHERE id = :sync_id);

-- name: name_free
-- No sync has this name.
SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM syncs WHERE name = :name);

-- name: alert_open
-- The alert is there and open.
SELECT 1 FROM alerts WHERE id = :alert_id AND resolved_at IS NULL;

-- name: lease_held
-- The row is leased under this token, be the lease expired or not.
SELECT 1 FROM leases WHERE work = :work AND row_id = :row_id AND token = :token;

-- name: notification_at
-- The notification is at this version and under no lease that still runs.
SELECT 1 FROM notifications
WHERE id = :row_id AND version = :version AND NOT EXISTS (
    SELECT 1 FROM leases WHERE work = 'notification' AND row_id = :row_id AND until > :now
);

-- name: hook_call_in
-- The hook call is in this state and under no lease that still runs.
SELECT 1 FROM hook_calls
WHERE id = :row_id AND state = :state AND NOT EXISTS (
    SELECT 1 FROM leases WHERE work = 'hook_call' AND row_id = :row_id AND until > :now
);
