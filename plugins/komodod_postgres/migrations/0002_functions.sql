-- What has to be done on the server, in one round trip and without waiting for the client in between. A function whose
-- meaning changes gets a new name, and the old one stays for a release, so that replicas can be upgraded one by one.
--
-- An operation of a batch is a JSON array: its word, then its fields; a row is one object. `commit` sets the search
-- path of all others. They are PL/pgSQL because that keeps the plans of its statements. Times are the caller's if it gives one, else the server's.

-- Tells whether an expectation holds. What is looked at stays locked until the end, so that it goes on holding; a
-- statement that waited for a lock judges the row as it then is.
CREATE FUNCTION komodod.holds(op json, at timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    CASE op ->> 0
        WHEN 'sync_at' THEN
            PERFORM FROM syncs WHERE id = op ->> 1 AND generation = (op ->> 2)::bigint FOR NO KEY UPDATE;
        WHEN 'lease_held' THEN
            CASE op ->> 1
                WHEN 'check' THEN
                    PERFORM FROM syncs WHERE id = op ->> 2 AND lease_token = op ->> 3 FOR NO KEY UPDATE;
                WHEN 'notification' THEN
                    PERFORM FROM notifications WHERE id = op ->> 2 AND lease_token = op ->> 3 FOR NO KEY UPDATE;
                WHEN 'hook_call' THEN
                    PERFORM FROM hook_calls WHERE id = op ->> 2 AND lease_token = op ->> 3 FOR NO KEY UPDATE;
            END CASE;
        WHEN 'notification_at' THEN
            PERFORM FROM notifications
            WHERE id = op ->> 1 AND version = (op ->> 2)::bigint AND (leased_until IS NULL OR leased_until <= at)
            FOR NO KEY UPDATE;
        WHEN 'hook_call_in' THEN
            PERFORM FROM hook_calls
            WHERE id = op ->> 1 AND state = op ->> 2 AND (leased_until IS NULL OR leased_until <= at)
            FOR NO KEY UPDATE;
        WHEN 'alert_open' THEN
            PERFORM FROM alerts WHERE id = op ->> 1 AND resolved_at IS NULL;
        WHEN 'leading' THEN
            PERFORM FROM leads WHERE duty = op ->> 1 AND token = op ->> 2 FOR SHARE;
        WHEN 'sync_gone' THEN
            RETURN NOT EXISTS (SELECT FROM syncs WHERE id = op ->> 1);
        WHEN 'name_free' THEN
            RETURN NOT EXISTS (SELECT FROM syncs WHERE name = op ->> 1);
    END CASE;
    RETURN FOUND;
END
$$;

-- Marks the notification dirty, making it if it is new, and returns its version.
CREATE FUNCTION komodod.raise_notification(row_id text, channel text, members text, words text, moment timestamptz)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    made bigint;
BEGIN
    INSERT INTO komodod.notifications AS old (
        id, notifier, "group", title, version, observed, state, sequence, attempts, ledger, repeats, abandoned,
        stranded, due_at
    ) VALUES (row_id, channel, members, words, 1, 0, 'absent', 0, 0, '[]', 0, 0, false, moment)
    ON CONFLICT (id) DO UPDATE SET version = old.version + 1, due_at = least(old.due_at, moment)
    RETURNING version INTO made;
    RETURN made;
END
$$;

-- Adds a doubt, or replaces the one of its key; one that came later is only prolonged.
CREATE FUNCTION komodod.put_doubt(row_id text, doubt json, at_version bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE komodod.doubts SET until = greatest(doubts.until, new.until)
    FROM json_populate_record(NULL::komodod.doubts, doubt) AS new
    WHERE doubts.notification_id = row_id AND doubts."key" = new."key" AND doubts.version > at_version;
    INSERT INTO komodod.doubts AS old (
        notification_id, "key", version, since, until, sequence, digest, answered, alike, receipt, searched
    )
    SELECT row_id, "key", at_version, since, until, sequence, digest, answered, alike, receipt, searched
    FROM json_populate_record(NULL::komodod.doubts, doubt)
    WHERE EXISTS (SELECT FROM komodod.notifications WHERE id = row_id)
    ON CONFLICT (notification_id, "key") DO UPDATE SET
        (version, since, until, sequence, digest, answered, alike, receipt, searched) = (
            EXCLUDED.version, EXCLUDED.since, EXCLUDED.until, EXCLUDED.sequence, EXCLUDED.digest, EXCLUDED.answered,
            EXCLUDED.alike, EXCLUDED.receipt, EXCLUDED.searched
        )
    WHERE old.version <= EXCLUDED.version;
END
$$;

-- Inserts or replaces a sync, all but its requests (kept) and its lease.
CREATE FUNCTION komodod.put_sync(fields json) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO komodod.syncs (
        id, name, origin, spec, created_at, updated_at, generation, declared, state, paused, conditions, revision,
        pending, digest, headline, failures, error, checked_at, next_check_at, requests, requests_seen, attempts,
        apply_request, applied_at, applied_digest, apply_error, apply_rounds, auto_apply_at, notes, cause
    )
    SELECT
        id, name, origin, spec, created_at, updated_at, generation, declared, state, paused, conditions, revision,
        pending, digest, headline, failures, error, checked_at, next_check_at, requests, requests_seen, attempts,
        apply_request, applied_at, applied_digest, apply_error, apply_rounds, auto_apply_at, notes, cause
    FROM json_populate_record(NULL::komodod.syncs, fields)
    ON CONFLICT (id) DO UPDATE SET
        (
            name, origin, spec, created_at, updated_at, generation, declared, state, paused, conditions, revision,
            pending, digest, headline, failures, error, checked_at, next_check_at, requests_seen, attempts,
            apply_request, applied_at, applied_digest, apply_error, apply_rounds, auto_apply_at, notes, cause
        ) = (
            EXCLUDED.name, EXCLUDED.origin, EXCLUDED.spec, EXCLUDED.created_at, EXCLUDED.updated_at,
            EXCLUDED.generation, EXCLUDED.declared, EXCLUDED.state, EXCLUDED.paused, EXCLUDED.conditions,
            EXCLUDED.revision, EXCLUDED.pending, EXCLUDED.digest, EXCLUDED.headline, EXCLUDED.failures,
            EXCLUDED.error, EXCLUDED.checked_at, EXCLUDED.next_check_at, EXCLUDED.requests_seen, EXCLUDED.attempts,
            EXCLUDED.apply_request, EXCLUDED.applied_at, EXCLUDED.applied_digest, EXCLUDED.apply_error,
            EXCLUDED.apply_rounds, EXCLUDED.auto_apply_at, EXCLUDED.notes, EXCLUDED.cause
        );
END
$$;

-- Inserts or replaces an alert.
CREATE FUNCTION komodod.put_alert(fields json) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO komodod.alerts (
        id, sync_id, sync_name, kind, severity, summary, opened_at, updated_at, labels, changes, headline, paused,
        resolved_at, resolution, reason, op_id
    )
    SELECT
        id, sync_id, sync_name, kind, severity, summary, opened_at, updated_at, labels, changes, headline, paused,
        resolved_at, resolution, reason, op_id
    FROM json_populate_record(NULL::komodod.alerts, fields)
    ON CONFLICT (id) DO UPDATE SET
        (
            sync_id, sync_name, kind, severity, summary, opened_at, updated_at, labels, changes, headline, paused,
            resolved_at, resolution, reason, op_id
        ) = (
            EXCLUDED.sync_id, EXCLUDED.sync_name, EXCLUDED.kind, EXCLUDED.severity, EXCLUDED.summary,
            EXCLUDED.opened_at, EXCLUDED.updated_at, EXCLUDED.labels, EXCLUDED.changes, EXCLUDED.headline,
            EXCLUDED.paused, EXCLUDED.resolved_at, EXCLUDED.resolution, EXCLUDED.reason, EXCLUDED.op_id
        );
END
$$;

-- Replaces a notification, all but its version, its doubts and its lease; one that was marked meanwhile is due now.
CREATE FUNCTION komodod.put_notification(fields json, moment timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE komodod.notifications AS old SET
        notifier = new.notifier, "group" = new."group", title = new.title, observed = new.observed,
        state = new.state, "key" = new."key", receipt = new.receipt, sequence = new.sequence, digest = new.digest,
        shown_digest = new.shown_digest, shown_since = new.shown_since, attempts = new.attempts,
        ledger = new.ledger, last_error = new.last_error, retry_at = new.retry_at, waiting = new.waiting,
        dead = new.dead, repeats = new.repeats, abandoned = new.abandoned, stranded = new.stranded,
        due_at = CASE WHEN old.version > new.version THEN moment ELSE new.due_at END
    FROM json_populate_record(NULL::komodod.notifications, fields) AS new
    WHERE old.id = new.id;
END
$$;

-- Inserts a hook call unless it is there already.
CREATE FUNCTION komodod.queue_hook_call(fields json) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO komodod.hook_calls (
        id, event_id, plugin, hook, sync_name, created_at, state, attempts, excused, last_error, due_at, finished_at
    )
    SELECT
        id, event_id, plugin, hook, sync_name, created_at, state, attempts, excused, last_error, due_at, finished_at
    FROM json_populate_record(NULL::komodod.hook_calls, fields)
    ON CONFLICT (id) DO NOTHING;
END
$$;

-- Replaces a hook call, all but its lease.
CREATE FUNCTION komodod.put_hook_call(fields json) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE komodod.hook_calls AS old SET
        event_id = new.event_id, plugin = new.plugin, hook = new.hook, sync_name = new.sync_name,
        created_at = new.created_at, state = new.state, attempts = new.attempts, excused = new.excused,
        last_error = new.last_error, due_at = new.due_at, finished_at = new.finished_at
    FROM json_populate_record(NULL::komodod.hook_calls, fields) AS new
    WHERE old.id = new.id;
END
$$;

-- Removes a hook call and takes its plugin out of those that its event owes a call.
CREATE FUNCTION komodod.drop_hook_call(row_id text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE komodod.events SET hooks = array_remove(hooks, hook_calls.plugin)
    FROM komodod.hook_calls WHERE hook_calls.id = row_id AND events.id = hook_calls.event_id;
    DELETE FROM komodod.hook_calls WHERE id = row_id;
END
$$;

-- Ends the lease on a row.
CREATE FUNCTION komodod.release(work text, row_id text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    CASE work
        WHEN 'check' THEN
            UPDATE syncs SET leased_by = NULL, lease_token = NULL, leased_until = NULL
            WHERE id = row_id AND leased_by IS NOT NULL;
        WHEN 'notification' THEN
            UPDATE notifications SET leased_by = NULL, lease_token = NULL, leased_until = NULL
            WHERE id = row_id AND leased_by IS NOT NULL;
        WHEN 'hook_call' THEN
            UPDATE hook_calls SET leased_by = NULL, lease_token = NULL, leased_until = NULL
            WHERE id = row_id AND leased_by IS NOT NULL;
    END CASE;
END
$$;

-- Applies one write. What the schema forbids is raised as the violation that it is.
CREATE FUNCTION komodod.apply(op json, at timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    CASE op ->> 0
        WHEN 'put_sync' THEN
            PERFORM put_sync(op -> 1);
        WHEN 'put_changes' THEN
            INSERT INTO sync_changes (sync_id, items, omitted)
            VALUES (op ->> 1, op -> 2 -> 'items', (op -> 2 ->> 'omitted')::bigint)
            ON CONFLICT (sync_id) DO UPDATE SET items = EXCLUDED.items, omitted = EXCLUDED.omitted;
        WHEN 'request_check' THEN
            UPDATE syncs SET requests = requests + 1 WHERE id = op ->> 1;
        WHEN 'delete_sync' THEN
            DELETE FROM syncs WHERE id = op ->> 1;
        WHEN 'put_alert' THEN
            PERFORM put_alert(op -> 1);
        WHEN 'link' THEN
            PERFORM raise_notification(op ->> 2, op ->> 3, op ->> 4, op ->> 5, at);
            INSERT INTO alert_notifications (alert_id, notification_id, resolved_at)
            VALUES (op ->> 1, op ->> 2, (SELECT resolved_at FROM alerts WHERE id = op ->> 1))
            ON CONFLICT DO NOTHING;
        WHEN 'unlink' THEN
            DELETE FROM alert_notifications WHERE alert_id = op ->> 1 AND notification_id = op ->> 2;
            UPDATE notifications SET version = version + 1, due_at = least(due_at, at) WHERE id = op ->> 2;
        WHEN 'touch' THEN
            UPDATE notifications SET version = version + 1, due_at = least(due_at, at)
            WHERE id IN (SELECT notification_id FROM alert_notifications WHERE alert_id = op ->> 1);
        WHEN 'mark_dirty' THEN
            UPDATE notifications SET version = version + 1, due_at = least(due_at, at) WHERE id = op ->> 1;
        WHEN 'put_notification' THEN
            PERFORM put_notification(op -> 1, at);
        WHEN 'put_doubt' THEN
            PERFORM put_doubt(op ->> 1, op -> 2, (op -> 2 ->> 'version')::bigint);
        WHEN 'drop_doubt' THEN
            DELETE FROM doubts
            WHERE notification_id = op ->> 1 AND "key" = op ->> 2 AND version <= (op ->> 3)::bigint;
        WHEN 'confess' THEN
            PERFORM put_doubt(
                op ->> 1, op -> 5, raise_notification(op ->> 1, op ->> 2, op ->> 3, op ->> 4, at)
            );
        WHEN 'drop_notification' THEN
            DELETE FROM notifications WHERE id = op ->> 1;
        WHEN 'append_event' THEN
            INSERT INTO events (id, at, kind, actor, op_id, reason, sync, alerts, data, hooks)
            SELECT new.id, new.at, new.kind, new.actor, new.op_id, new.reason, new.sync, new.alerts, new.data, new.hooks
            FROM json_populate_record(NULL::events, op -> 1) AS new;
        WHEN 'queue_hook_call' THEN
            PERFORM queue_hook_call(op -> 1);
        WHEN 'put_hook_call' THEN
            PERFORM put_hook_call(op -> 1);
        WHEN 'drop_hook_call' THEN
            PERFORM drop_hook_call(op ->> 1);
        WHEN 'release' THEN
            PERFORM release(op ->> 1, op ->> 2);
    END CASE;
END
$$;

-- Waits until nobody else writes. All writers but the claims come through here, one transaction after the other and
-- across all replicas: so an event gets its cursor after every event that was there before it was seen by anybody, an
-- expectation that something is not there goes on holding, and no two writers wait for each other. The lock is let go
-- by the server, at the end of the one statement that took it: a client that stands still or is cut off holds nobody up.
CREATE FUNCTION komodod.take_turn() RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(hashtextextended('komodod: writers', 0))
$$;

-- Applies batches, each whole or not at all whatever its neighbours do, and tells of each: which operation was refused,
-- counted from 0; or which error it met. `sender` is told to the other replicas if anything was applied; NULL tells
-- nobody.
CREATE FUNCTION komodod.commit(batches text[], sender text)
RETURNS TABLE (refused integer, code text, words text) LANGUAGE plpgsql SET search_path = komodod, pg_temp AS $$
DECLARE
    batch json;
    source text;
    op json;
    moment timestamptz;
    number integer;
    applied boolean := false;
BEGIN
    PERFORM take_turn();
    FOREACH source IN ARRAY batches LOOP
        refused := NULL;
        code := NULL;
        words := NULL;
        number := -1;
        BEGIN
            batch := source::json;
            moment := coalesce((batch ->> 'now')::timestamptz, clock_timestamp());
            FOR op IN SELECT json_array_elements(batch -> 'expect') LOOP
                number := number + 1;
                IF NOT holds(op, moment) THEN
                    refused := number;
                    EXIT;
                END IF;
            END LOOP;
            IF refused IS NULL THEN
                FOR op IN SELECT json_array_elements(batch -> 'writes') LOOP
                    number := number + 1;
                    PERFORM apply(op, moment);
                END LOOP;
                applied := true;
            END IF;
        EXCEPTION
            WHEN unique_violation OR foreign_key_violation THEN
                refused := number;
            WHEN data_exception OR integrity_constraint_violation THEN
                code := SQLSTATE;
                words := SQLERRM;
        END;
        RETURN NEXT;
    END LOOP;
    IF applied AND sender IS NOT NULL THEN
        PERFORM pg_notify('komodod', sender);
    END IF;
END
$$;

-- Leases notifications that are due, longest due first. Their doubts are read after the rows are ours: one that was
-- missed could be erased by the result.
CREATE FUNCTION komodod.claim_notifications(
    worker text, claim text, seconds double precision, most bigint, at timestamptz
)
RETURNS TABLE (claimed text, token text, moment timestamptz) LANGUAGE plpgsql AS $$
DECLARE
    clock timestamptz := coalesce(at, clock_timestamp());
    taken text[];
BEGIN
    WITH due AS (
        SELECT id FROM komodod.notifications
        WHERE due_at <= clock AND (leased_until IS NULL OR leased_until <= clock)
        ORDER BY due_at, id LIMIT most
        FOR NO KEY UPDATE SKIP LOCKED
    ), leased AS (
        UPDATE komodod.notifications
        SET leased_by = worker, lease_token = claim || '.' || notifications.id,
            leased_until = clock + make_interval(secs => seconds)
        FROM due WHERE notifications.id = due.id
        RETURNING notifications.id
    )
    SELECT array_agg(id) INTO taken FROM leased;
    RETURN QUERY
    SELECT to_json(whole)::text, whole.lease_token, clock FROM komodod.whole_notifications AS whole
    WHERE id = ANY (taken) ORDER BY due_at, id;
END
$$;

-- Lets the leases of a worker run for so many seconds from now, but for those of claims whose answer was lost: nobody
-- works on these, and they are to end.
CREATE FUNCTION komodod.renew(worker text, lost text[], seconds double precision, at timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    ends timestamptz;
BEGIN
    PERFORM komodod.take_turn();
    ends := coalesce(at, clock_timestamp()) + make_interval(secs => seconds);
    UPDATE komodod.syncs SET leased_until = ends
    WHERE leased_by = worker AND split_part(lease_token, '.', 1) <> ALL (lost);
    UPDATE komodod.notifications SET leased_until = ends
    WHERE leased_by = worker AND split_part(lease_token, '.', 1) <> ALL (lost);
    UPDATE komodod.hook_calls SET leased_until = ends
    WHERE leased_by = worker AND split_part(lease_token, '.', 1) <> ALL (lost);
END
$$;

-- Removes history: alerts first, whose links hold notifications; returns how many rows of it.
CREATE FUNCTION komodod.purge(before timestamptz, most bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    gone bigint;
    more bigint;
BEGIN
    PERFORM komodod.take_turn();
    DELETE FROM komodod.alerts WHERE id IN (
        SELECT id FROM komodod.alerts WHERE resolved_at < before ORDER BY resolved_at LIMIT most
    );
    GET DIAGNOSTICS gone = ROW_COUNT;
    DELETE FROM komodod.events WHERE "cursor" IN (
        SELECT "cursor" FROM komodod.events
        WHERE at < before AND NOT EXISTS (
            SELECT FROM komodod.hook_calls WHERE event_id = events.id AND state <> 'done'
        )
        ORDER BY at LIMIT most - gone
    );
    GET DIAGNOSTICS more = ROW_COUNT;
    gone := gone + more;
    DELETE FROM komodod.notifications WHERE id IN (
        SELECT id FROM komodod.notifications AS idle
        WHERE state = 'absent'
            AND version = observed
            AND leased_by IS NULL
            AND NOT EXISTS (SELECT FROM komodod.doubts WHERE notification_id = idle.id)
            AND NOT EXISTS (SELECT FROM komodod.alert_notifications WHERE notification_id = idle.id)
        LIMIT most - gone
        FOR UPDATE SKIP LOCKED
    );
    GET DIAGNOSTICS more = ROW_COUNT;
    RETURN gone + more;
END
$$;
