-- What is written, each in one round trip; the functions are in the migrations.

-- name: commit
-- Apply batches, a line each, and tell of each whether it was refused.
SELECT refused, code, words FROM komodod.commit(string_to_array(%(batches)s, chr(10)), %(sender)s);

-- name: purge
-- Remove history, and tell how many rows of it.
SELECT komodod.purge(%(before)s, %(limit)s);
