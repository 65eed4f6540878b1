-- lock_key --
-- Nothing; whoever else has the same key waits until the transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended(%(key)s, 4611686018427387904));

-- stored_answer --
-- What was answered to the request with this key in the last %(hours)s hours, or no row.
SELECT fingerprint, status, headers, body
  FROM public.inventory_idempotency_keys
 WHERE key = %(key)s AND created_at > now() - make_interval(hours => %(hours)s);

-- store_answer --
-- Nothing.
INSERT INTO public.inventory_idempotency_keys (key, fingerprint, status, headers, body)
VALUES (%(key)s, %(fingerprint)s, %(status)s, %(headers)s, %(body)s)
    ON CONFLICT (key) DO UPDATE
   SET fingerprint = excluded.fingerprint, status = excluded.status, headers = excluded.headers,
       body = excluded.body, created_at = excluded.created_at;

-- forget_old_answers --
-- Nothing; a few of those that are too old to be given again are gone.
DELETE FROM public.inventory_idempotency_keys
 WHERE key IN (
       SELECT key
         FROM public.inventory_idempotency_keys
        WHERE created_at < now() - make_interval(hours => %(hours)s)
        ORDER BY created_at
        LIMIT %(limit)s
          FOR UPDATE SKIP LOCKED);

-- list_items --
-- At most %(limit)s items of a view in its order, from a place on; each with what its place is made of: whether its
-- code is the search text, its value in the column sorted by, as text, and its id.
SELECT id, name, quantity, unit, location, reorder_level, code, version, updated_at,
       to_json({column}) #>> '{{}}' AS key,
       {exact} AS is_exact
  FROM public.inventory
 WHERE {matches}
   AND {start}
 ORDER BY is_exact DESC, {order}
 LIMIT %(limit)s;

-- from_the_start --
-- All items.
TRUE

-- after_the_exact --
-- All items but the one whose code is the search text, which comes first.
public.inventory_fold(code) IS DISTINCT FROM %(needle)s

-- after_a_value --
-- The items after the one with the value %(key)s and the id %(id)s; those without a value come last.
(%(needle)s = '' OR public.inventory_fold(code) IS DISTINCT FROM %(needle)s)
AND ({column} {beyond} %(key)s OR {column} = %(key)s AND id > %(id)s OR {column} IS NULL)

-- after_a_value_of_all --
-- The same for a column where no value is missing, so that an index on it finds the place.
(%(needle)s = '' OR public.inventory_fold(code) IS DISTINCT FROM %(needle)s)
AND {column} {beyond}= %(key)s AND ({column} {beyond} %(key)s OR id > %(id)s)

-- after_a_gap --
-- The items after the one without a value and with the id %(id)s.
(%(needle)s = '' OR public.inventory_fold(code) IS DISTINCT FROM %(needle)s)
AND {column} IS NULL AND id > %(id)s

-- feed_page --
-- At most %(limit)s changes, in the order of id, that the snapshot %(upto)s sees and %(since)s did not: those of the
-- transactions that began between the two and were over at the second, and of %(ended)s, which were open at the first
-- and not at the second. Changes of one item come in the order they were made, because each had locked its row before
-- it got an id.
SELECT id, xid::text AS transaction, operation, item_id, version,
       before_name, before_quantity, before_unit, before_location, before_reorder_level, before_code,
       after_name, after_quantity, after_unit, after_location, after_reorder_level, after_code,
       changed_at AS at, coalesce(actor, session_role) AS who, coalesce(source, application) AS how, reason, undoes
  FROM public.inventory_changes
 WHERE {window}
 ORDER BY id
 LIMIT %(limit)s;

-- window_from_its_start --
-- Found by the index on xid: one on id would have to pass all that is older.
id = ANY (ARRAY(
    WITH unseen AS MATERIALIZED (
             SELECT id, xid FROM public.inventory_changes
              WHERE xid >= pg_snapshot_xmax(%(since)s::pg_snapshot) AND xid < pg_snapshot_xmax(%(upto)s::pg_snapshot)
              UNION ALL
             SELECT id, xid FROM public.inventory_changes
              WHERE xid = ANY (%(ended)s::xid8[]))
    SELECT id FROM unseen WHERE pg_visible_in_snapshot(xid, %(upto)s::pg_snapshot) ORDER BY id LIMIT %(limit)s))

-- window_after_an_id --
-- Found by the index on id: one on xid would have to sort the whole window for each of its pages.
id > %(last_id)s
   AND (xid >= pg_snapshot_xmax(%(since)s::pg_snapshot) AND xid < pg_snapshot_xmax(%(upto)s::pg_snapshot)
        OR xid = ANY (%(ended)s::xid8[]))
   AND pg_visible_in_snapshot(xid, %(upto)s::pg_snapshot)

-- feed_position --
-- One row: a snapshot of now, the epoch (NULL: not settled yet, or not everything is logged at present), whether the
-- snapshot %(since)s is of the past, and whether all that it had not seen is there still.
SELECT cursor::text AS now, CASE WHEN is_told THEN epoch END AS epoch,
       coalesce(pg_snapshot_xmax(%(since)s::pg_snapshot) <= pg_snapshot_xmax(cursor), TRUE) AS is_past,
       NOT EXISTS (SELECT FROM public.inventory_pruning
                    WHERE pruned_to >= pg_snapshot_xmin(%(since)s::pg_snapshot)) AS is_kept
  FROM public.inventory_position;
