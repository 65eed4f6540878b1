-- change_columns --
-- The columns of a change as people are told it, from the log as `c`. BETWEEN stands for = where a transaction is
-- looked up: after a large import the statistics say that every transaction is nearly the whole log, and PostgreSQL
-- would rather read that than use the index.
c.id, c.xid::text AS xid, c.operation, c.item_id, c.version, coalesce(c.after_name, c.before_name) AS name,
       c.before_name, c.before_quantity, c.before_unit, c.before_location, c.before_reorder_level, c.before_code,
       c.after_name, c.after_quantity, c.after_unit, c.after_location, c.after_reorder_level, c.after_code,
       coalesce(c.actor, c.session_role) AS who, coalesce(c.source, c.application) AS how, c.reason, c.undoes,
       c.changed_at AS at,
       EXISTS (SELECT FROM public.inventory_changes AS undoing WHERE undoing.undoes = c.id) AS is_undone,
       c.changed_at < now() - make_interval(hours => %(undo_hours)s) AS is_old,
       c.xid > '0' AND EXISTS (
           SELECT FROM public.inventory_changes AS other WHERE other.xid BETWEEN c.xid AND c.xid AND other.id <> c.id
       ) AS is_in_bulk

-- latest_changes --
-- The newest change of each of the latest transactions, newest first. Candidates are the transactions of the latest
-- ids and those with the latest numbers, for a large one has many ids and a long one an old number; so what is read
-- does not depend on the size of either. Of a row that a restored dump brought (xid 0) no transaction is known.
WITH RECURSIVE numbered (xid, place) AS (
         (SELECT xid, 1 FROM public.inventory_changes ORDER BY xid DESC LIMIT 1)
          UNION ALL
         SELECT earlier.xid, place + 1
           FROM numbered, LATERAL (
                SELECT c.xid FROM public.inventory_changes AS c
                 WHERE c.xid < numbered.xid ORDER BY c.xid DESC LIMIT 1) AS earlier
          WHERE place < %(limit)s),
     recent AS (SELECT id, xid FROM public.inventory_changes ORDER BY id DESC LIMIT 100),
     newest AS (
         SELECT id FROM recent WHERE xid = '0'
          UNION ALL
         SELECT (SELECT c.id
                   FROM public.inventory_changes AS c
                  WHERE c.xid BETWEEN known.xid AND known.xid
                  ORDER BY c.xid DESC, c.id DESC
                  LIMIT 1)
           FROM (SELECT xid FROM recent UNION SELECT xid FROM numbered) AS known
          WHERE xid > '0'
          ORDER BY id DESC
          LIMIT %(limit)s)
SELECT {columns}
  FROM newest JOIN public.inventory_changes AS c USING (id)
 ORDER BY c.id DESC;

-- transactions --
-- What each of some transactions did: its changes and the items changed (at most %(most)s of them are counted), its
-- operation if it had but one, and a name.
SELECT known.xid, count(*) AS changes, count(DISTINCT item_id) AS items,
       CASE WHEN min(operation) = max(operation) THEN min(operation) END AS operation,
       min(coalesce(after_name, before_name)) AS name
  FROM unnest(%(xids)s::text[]) AS known (xid), LATERAL (
       SELECT item_id, operation, after_name, before_name
         FROM public.inventory_changes AS c
        WHERE c.xid BETWEEN known.xid::xid8 AND known.xid::xid8
        ORDER BY c.xid
        LIMIT %(most)s) AS c
 GROUP BY known.xid;

-- changes_of_item --
-- The changes of an item before the change %(before)s, newest first, among them the moments when all items were
-- removed at once. Those have no item; sorting by it as well lets the index do without a sort.
SELECT {columns}
  FROM (SELECT * FROM (
           (SELECT * FROM public.inventory_changes
             WHERE item_id = %(id)s AND id < %(before)s
             ORDER BY id DESC LIMIT %(limit)s)
            UNION ALL
           (SELECT * FROM public.inventory_changes
             WHERE item_id IS NULL AND id < %(before)s
               AND id > (SELECT id FROM public.inventory_changes WHERE item_id = %(id)s ORDER BY id LIMIT 1)
             ORDER BY item_id DESC, id DESC LIMIT %(limit)s)) AS either
         ORDER BY id DESC LIMIT %(limit)s) AS c
 ORDER BY c.id DESC;

-- quantities_of_item --
-- The latest quantities of an item and since when, newest first; NULL while it was deleted.
SELECT changed_at AS at, after_quantity AS quantity
  FROM (
       (SELECT id, changed_at, after_quantity FROM public.inventory_changes
         WHERE item_id = %(id)s AND before_quantity IS DISTINCT FROM after_quantity
         ORDER BY id DESC LIMIT %(limit)s)
        UNION ALL
       (SELECT id, changed_at, NULL FROM public.inventory_changes
         WHERE item_id IS NULL
           AND id > (SELECT id FROM public.inventory_changes WHERE item_id = %(id)s ORDER BY id LIMIT 1)
         ORDER BY item_id DESC, id DESC LIMIT %(limit)s)) AS either
 ORDER BY id DESC
 LIMIT %(limit)s;

-- consumption_of_item --
-- One row: how many were taken, and since when: for %(days)s days, or since the first of the item's latest changes.
-- What was taken back again was not consumed.
SELECT coalesce(sum(before_quantity - after_quantity) FILTER (
           WHERE after_quantity < before_quantity AND undoes IS NULL AND NOT EXISTS (
               SELECT FROM public.inventory_changes AS undoing WHERE undoing.undoes = recent.id)), 0)::numeric AS consumed,
       min(changed_at) AS since
  FROM (SELECT id, before_quantity, after_quantity, undoes, changed_at
          FROM public.inventory_changes
         WHERE item_id = %(id)s
         ORDER BY id DESC
         LIMIT %(changes)s) AS recent
 WHERE changed_at > now() - make_interval(days => %(days)s);

-- id_at --
-- One row: an id such that every change of before a moment has a smaller one, but for those that were written by
-- several at once, for which ids and times are only nearly in the same order. It halves the log, so it reads little.
WITH RECURSIVE halving (low, high) AS (
         SELECT 0::bigint, coalesce((SELECT id FROM public.inventory_changes ORDER BY id DESC LIMIT 1), 0) + 1
          UNION ALL
         SELECT CASE WHEN middle.changed_at < %(at)s THEN middle.id ELSE low END,
                CASE WHEN middle.changed_at < %(at)s THEN high ELSE low + (high - low) / 2 END
           FROM halving LEFT JOIN LATERAL (
                SELECT id, changed_at FROM public.inventory_changes
                 WHERE id >= low + (high - low) / 2 AND id < high
                 ORDER BY id LIMIT 1) AS middle ON TRUE
          WHERE high - low > 1)
SELECT min(high) AS id FROM halving;

-- changes_found --
-- The changes that a filter lets through, newest first, of the ids from %(from_id)s on and before %(before)s.
SELECT {columns}
  FROM (SELECT *
          FROM public.inventory_changes
         WHERE id < %(before)s AND id >= %(from_id)s
           AND (%(xid)s::text IS NULL OR xid = %(xid)s::text::xid8)
           AND (%(item_id)s::bigint IS NULL OR item_id = %(item_id)s)
           AND (%(name)s = ''
                OR strpos(public.inventory_fold(before_name) COLLATE "C", %(name)s COLLATE "C") > 0
                OR strpos(public.inventory_fold(after_name) COLLATE "C", %(name)s COLLATE "C") > 0)
           AND (%(who)s = '' OR strpos(public.inventory_fold(coalesce(actor, session_role)) COLLATE "C", %(who)s COLLATE "C") > 0)
           AND (%(how)s = '' OR strpos(public.inventory_fold(coalesce(source, application)) COLLATE "C", %(how)s COLLATE "C") > 0)
           AND (%(since)s::timestamptz IS NULL OR changed_at >= %(since)s)
           AND (%(until)s::timestamptz IS NULL OR changed_at < %(until)s)
         ORDER BY id DESC
         LIMIT %(limit)s) AS c
 ORDER BY c.id DESC;

-- change_ids --
-- One row: the smallest and the largest id of the log, NULL while it is empty.
SELECT (SELECT id FROM public.inventory_changes ORDER BY id LIMIT 1) AS first,
       (SELECT id FROM public.inventory_changes ORDER BY id DESC LIMIT 1) AS last;

-- folded_texts --
-- One row: three search texts as names are folded for comparison.
SELECT public.inventory_fold(%(name)s) AS name, public.inventory_fold(%(who)s) AS who,
       public.inventory_fold(%(how)s) AS how;

-- low_items --
-- The items at or below their reorder level in the order of the alphabet, at most %(limit)s; each with what was
-- taken lately, as in consumption_of_item.
SELECT i.id, i.name, i.quantity, i.unit, i.location, i.reorder_level, i.code, i.version, i.updated_at,
       taken.consumed, taken.since
  FROM (SELECT *
          FROM public.inventory
         WHERE quantity <= reorder_level
         ORDER BY public.inventory_fold(name) COLLATE "C"
         LIMIT %(limit)s) AS i, LATERAL (
       SELECT coalesce(sum(before_quantity - after_quantity) FILTER (
                  WHERE after_quantity < before_quantity AND undoes IS NULL AND NOT EXISTS (
                      SELECT FROM public.inventory_changes AS undoing WHERE undoing.undoes = recent.id)), 0)::numeric AS consumed,
              min(changed_at) AS since
         FROM (SELECT id, before_quantity, after_quantity, undoes, changed_at
                 FROM public.inventory_changes
                WHERE item_id = i.id
                ORDER BY id DESC
                LIMIT %(changes)s) AS recent
        WHERE changed_at > now() - make_interval(days => %(days)s)) AS taken
 ORDER BY public.inventory_fold(i.name) COLLATE "C", i.id;

-- item_or_last_state --
-- The item; or what the log knows of it last, then `is_gone`; or no row.
(SELECT id, name, quantity, unit, location, reorder_level, code, version, updated_at, FALSE AS is_gone
   FROM public.inventory
  WHERE id = %(id)s)
 UNION ALL
(SELECT item_id, coalesce(after_name, before_name), coalesce(after_quantity, before_quantity),
        CASE operation WHEN 'delete' THEN before_unit ELSE after_unit END,
        CASE operation WHEN 'delete' THEN before_location ELSE after_location END,
        CASE operation WHEN 'delete' THEN before_reorder_level ELSE after_reorder_level END,
        CASE operation WHEN 'delete' THEN before_code ELSE after_code END,
        version, changed_at, TRUE
   FROM public.inventory_changes
  WHERE item_id = %(id)s
  ORDER BY id DESC
  LIMIT 1)
 ORDER BY is_gone
 LIMIT 1;
