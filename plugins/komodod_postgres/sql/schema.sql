-- The schema itself, and who the store is.

-- name: encoding
-- How the database keeps text, and the server's version.
SELECT current_setting('server_encoding'), current_setting('server_version_num')::integer,
    current_setting('server_version');

-- name: patience
-- A migration takes its time, and so does waiting for somebody else's.
SELECT set_config('lock_timeout', '0', true), set_config('statement_timeout', '0', true),
    pg_advisory_xact_lock(hashtextextended('komodod: schema', 0));

-- name: relations
-- What stands in komodod's schema: no row if there is no such schema.
SELECT (SELECT count(*) FROM pg_class WHERE relnamespace = pg_namespace.oid), to_regclass('komodod.migrations') IS NOT NULL
FROM pg_namespace WHERE nspname = 'komodod';

-- name: version
-- The version of the schema.
SELECT max(version) FROM komodod.migrations;

-- name: create_schema
-- Make the schema.
CREATE SCHEMA komodod;

-- name: create_migrations
-- Make the table that tells which migrations were carried out.
CREATE TABLE komodod.migrations (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now());

-- name: create_shape
-- Make the table that tells what the migrations made.
CREATE TABLE komodod.shape (kind text, name text, PRIMARY KEY (kind, name));

-- name: applied
-- Write down that a migration was carried out.
INSERT INTO komodod.migrations (version) VALUES (%(version)s);

-- name: forget_shape
-- Forget what the migrations before made.
DELETE FROM komodod.shape;

-- name: keep_shape
-- Write down what the migrations made.
INSERT INTO komodod.shape (kind, name) {shape};

-- name: compare_shape
-- What the migrations made and is no longer there, or no longer guards anything.
SELECT kind, name FROM komodod.shape EXCEPT ({shape}) ORDER BY kind, name;

-- name: shape
-- Tables, views, indexes, constraints, triggers and functions that are in force.
SELECT 'table', relname::text FROM pg_class
WHERE relnamespace = 'komodod'::regnamespace AND relkind IN ('r', 'v')
UNION
SELECT 'index', relname::text FROM pg_class JOIN pg_index ON indexrelid = pg_class.oid
WHERE relnamespace = 'komodod'::regnamespace AND indisvalid
UNION
SELECT 'constraint', format('%%s of %%s', conname, conrelid::regclass) FROM pg_constraint
WHERE connamespace = 'komodod'::regnamespace AND contype IN ('c', 'f', 'p', 'u') AND convalidated
    AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgconstraint = pg_constraint.oid AND tgenabled = 'D')
UNION
SELECT 'trigger', tgname::text FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
WHERE relnamespace = 'komodod'::regnamespace AND NOT tgisinternal AND tgenabled <> 'D'
UNION
SELECT 'function', proname::text FROM pg_proc WHERE pronamespace = 'komodod'::regnamespace;

-- name: found
-- Write down the epoch if the store is new, or if this is a restored copy: then the database is another one.
INSERT INTO komodod.meta (name, value)
SELECT 'epoch', format('%%s %%s', oid, %(epoch)s::text) FROM pg_database WHERE datname = current_database()
UNION ALL
SELECT 'pinged_at', ''
ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value
WHERE meta.name = 'epoch' AND split_part(meta.value, ' ', 1) <> split_part(EXCLUDED.value, ' ', 1);

-- name: epoch
-- The store's epoch.
SELECT split_part(value, ' ', 2) FROM komodod.meta WHERE name = 'epoch';
