-- Work under leases. A row that somebody else is about to take or to change is passed over, not waited for; one that
-- was taken a moment ago is judged as it then is, since the lease is in it. A token names the claim that made it.

-- name: claim_checks
-- Lease the syncs that have been due longest, and count an attempt in each.
WITH clock AS MATERIALIZED (
    SELECT coalesce(%(now)s::timestamptz, clock_timestamp()) AS now
), due AS (
    SELECT id FROM komodod.syncs
    WHERE due_at <= (SELECT now FROM clock) AND (leased_until IS NULL OR leased_until <= (SELECT now FROM clock))
    ORDER BY due_at, id LIMIT %(limit)s
    FOR NO KEY UPDATE SKIP LOCKED
), taken AS (
    UPDATE komodod.syncs SET
        attempts = attempts + 1, leased_by = %(worker)s, lease_token = %(claim)s || '.' || syncs.id,
        leased_until = clock.now + make_interval(secs => %(lease)s)
    FROM due, clock WHERE syncs.id = due.id
    RETURNING syncs.*
)
SELECT to_json(taken)::text, lease_token, now FROM taken, clock ORDER BY due_at, id;

-- name: claim_notifications
-- Lease the notifications that have been due longest.
SELECT claimed, token, moment FROM komodod.claim_notifications(
    %(worker)s, %(claim)s, %(lease)s, %(limit)s, %(now)s
);

-- name: claim_hook_calls
-- Lease the waiting calls of these plugins that have been due longest, and count an attempt in each.
WITH clock AS MATERIALIZED (
    SELECT coalesce(%(now)s::timestamptz, clock_timestamp()) AS now
), due AS (
    SELECT first.id FROM unnest(%(plugins)s::text[]) AS told, LATERAL (
        SELECT id, due_at FROM komodod.hook_calls
        WHERE plugin = told AND state = 'waiting' AND due_at <= (SELECT now FROM clock)
            AND (leased_until IS NULL OR leased_until <= (SELECT now FROM clock))
        ORDER BY due_at, id LIMIT %(limit)s
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS first
    ORDER BY first.due_at, first.id LIMIT %(limit)s
), taken AS (
    UPDATE komodod.hook_calls SET
        attempts = attempts + 1, leased_by = %(worker)s, lease_token = %(claim)s || '.' || hook_calls.id,
        leased_until = clock.now + make_interval(secs => %(lease)s)
    FROM due, clock WHERE hook_calls.id = due.id
    RETURNING hook_calls.*
)
SELECT to_json(taken)::text, lease_token, now FROM taken, clock ORDER BY due_at, id;

-- name: renew
-- Let the leases of a worker run for so long from now, but for those of lost claims.
SELECT komodod.renew(%(worker)s, %(lost)s::text[], %(lease)s, %(now)s);

-- name: lead
-- Take the lead of a duty that nobody leads, or keep one's own; no row where somebody else has it.
INSERT INTO komodod.leads (duty, holder, token, until)
VALUES (
    %(duty)s, %(holder)s, gen_random_uuid()::text,
    coalesce(%(now)s::timestamptz, clock_timestamp()) + make_interval(secs => %(ttl)s)
)
ON CONFLICT (duty) DO UPDATE SET
    holder = EXCLUDED.holder,
    token = CASE WHEN leads.holder = EXCLUDED.holder THEN leads.token ELSE EXCLUDED.token END,
    until = EXCLUDED.until
WHERE leads.holder = EXCLUDED.holder OR leads.until <= coalesce(%(now)s::timestamptz, clock_timestamp())
RETURNING token;

-- name: next_due
-- When each kind of work can first be claimed; a row that is leased, once its lease is over.
SELECT
    coalesce(%(now)s::timestamptz, clock_timestamp()) AS now,
    least(
        (SELECT due_at FROM komodod.syncs WHERE due_at IS NOT NULL AND leased_by IS NULL ORDER BY due_at LIMIT 1),
        (SELECT min(greatest(due_at, leased_until)) FROM komodod.syncs WHERE leased_by IS NOT NULL AND due_at IS NOT NULL)
    ) AS checks,
    least(
        (
            SELECT due_at FROM komodod.notifications WHERE due_at IS NOT NULL AND leased_by IS NULL
            ORDER BY due_at LIMIT 1
        ),
        (
            SELECT min(greatest(due_at, leased_until)) FROM komodod.notifications
            WHERE leased_by IS NOT NULL AND due_at IS NOT NULL
        )
    ) AS notifications,
    least(
        (
            SELECT min(first.due_at) FROM unnest(%(plugins)s::text[]) AS told, LATERAL (
                SELECT due_at FROM komodod.hook_calls
                WHERE plugin = told AND state = 'waiting' AND due_at IS NOT NULL AND leased_by IS NULL
                ORDER BY due_at LIMIT 1
            ) AS first
        ),
        (
            SELECT min(greatest(due_at, leased_until)) FROM komodod.hook_calls
            WHERE leased_by IS NOT NULL AND due_at IS NOT NULL AND state = 'waiting' AND plugin = ANY (%(plugins)s)
        )
    ) AS hook_calls;
