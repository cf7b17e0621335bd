-- Work under leases. A lease that has ended hides nothing.

-- name: claim_checks
-- Count an attempt in the syncs that have been due longest, and return them.
UPDATE syncs SET attempts = attempts + 1 WHERE id IN (
    SELECT id FROM syncs AS due
    WHERE due_at <= :now AND NOT EXISTS (
        SELECT 1 FROM leases WHERE work = 'check' AND row_id = due.id AND until > :now
    )
    ORDER BY due_at, id
    LIMIT :limit
)
RETURNING *;

-- name: due_notifications
-- The notifications that have been due longest.
SELECT * FROM notifications AS due
WHERE due_at <= :now AND NOT EXISTS (
    SELECT 1 FROM leases WHERE work = 'notification' AND row_id = due.id AND until > :now
)
ORDER BY due_at, id
LIMIT :limit;

-- name: due_hook_calls
-- The waiting calls of one plugin that have been due longest.
SELECT due_at, id FROM hook_calls AS due
WHERE plugin = :plugin AND state = 'waiting' AND due_at <= :now AND NOT EXISTS (
    SELECT 1 FROM leases WHERE work = 'hook_call' AND row_id = due.id AND until > :now
)
ORDER BY due_at, id
LIMIT :limit;

-- name: claim_hook_call
-- Count an attempt in a hook call, and return it.
UPDATE hook_calls SET attempts = attempts + 1 WHERE id = :id RETURNING *;

-- name: take_lease
-- Lease a row, whoever held it before.
INSERT INTO leases (work, row_id, worker, token, until) VALUES (:work, :row_id, :worker, :token, :until)
ON CONFLICT (work, row_id) DO UPDATE SET worker = excluded.worker, token = excluded.token, until = excluded.until;

-- name: renew
-- Let all leases of a worker run until then.
UPDATE leases SET until = :until WHERE worker = :worker;

-- name: end_leases
-- End the leases of the dead.
DELETE FROM leases;

-- name: next_check
-- When the first sync that nobody has leased is due.
SELECT due_at FROM syncs AS due
WHERE due_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM leases WHERE work = 'check' AND row_id = due.id)
ORDER BY due_at
LIMIT 1;

-- name: next_leased_check
-- When the first leased sync is due again, its lease being over by then.
SELECT min(max(due_at, until)) FROM leases JOIN syncs ON syncs.id = row_id WHERE work = 'check';

-- name: next_notification
-- When the first notification that nobody has leased is due.
SELECT due_at FROM notifications AS due
WHERE due_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM leases WHERE work = 'notification' AND row_id = due.id)
ORDER BY due_at
LIMIT 1;

-- name: next_leased_notification
-- When the first leased notification is due again, its lease being over by then.
SELECT min(max(due_at, until)) FROM leases JOIN notifications ON notifications.id = row_id
WHERE work = 'notification';

-- name: next_hook_call
-- When the first waiting call of one plugin that nobody has leased is due.
SELECT due_at FROM hook_calls AS due
WHERE plugin = :plugin AND state = 'waiting' AND due_at IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM leases WHERE work = 'hook_call' AND row_id = due.id)
ORDER BY due_at
LIMIT 1;

-- name: next_leased_hook_call
-- When the first leased waiting call of one plugin is due again, its lease being over by then.
SELECT min(max(due_at, until)) FROM leases JOIN hook_calls ON hook_calls.id = row_id
WHERE work = 'hook_call' AND state = 'waiting' AND plugin = :plugin;
