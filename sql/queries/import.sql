-- limit_import --
-- Settings for a connection that imports: it may take its time, but waits for nobody's lock for long.
SELECT set_config('statement_timeout', '10min', FALSE), set_config('lock_timeout', %(lock_timeout)s, FALSE),
       set_config('idle_in_transaction_session_timeout', '10min', FALSE), set_config('jit', 'off', FALSE);

-- forget_imports --
-- Nothing; files that were read more than an hour ago are forgotten, and all but the latest 20.
WITH forgotten AS (
         DELETE FROM public.inventory_imports
          WHERE created_at < now() - interval '1 hour'
             OR id <= (SELECT id FROM public.inventory_imports ORDER BY id DESC OFFSET 19 LIMIT 1)
         RETURNING id)
DELETE FROM public.inventory_import_rows
 USING forgotten
 WHERE import_id = forgotten.id;

-- add_import --
-- One row: the id of a file about to be read.
INSERT INTO public.inventory_imports (token, file_name, columns, unused)
VALUES (%(token)s, %(file_name)s, %(columns)s, %(unused)s)
RETURNING id;

-- copy_import_rows --
-- The rows of a file stream in.
COPY public.inventory_import_rows (import_id, line, code, name, quantity, delta, unit, location, reorder_level)
FROM STDIN;

-- import_by_token --
-- The file, or no row.
SELECT id, token, file_name, columns, unused
  FROM public.inventory_imports
 WHERE token = %(token)s;

-- import_by_token_locked --
-- The file, or no row; nobody else applies it until the transaction ends.
SELECT id, token, file_name, columns, unused
  FROM public.inventory_imports
 WHERE token = %(token)s
   FOR UPDATE;

-- forget_import --
-- Nothing; the file is forgotten.
WITH forgotten AS (DELETE FROM public.inventory_imports WHERE id = %(id)s)
DELETE FROM public.inventory_import_rows
 WHERE import_id = %(id)s;

-- make_review --
-- Nothing; there is a table for what an import would do, until the transaction ends.
CREATE TEMPORARY TABLE IF NOT EXISTS import_review (
    line bigint,
    item_id bigint,
    version bigint,
    old_code text, old_name text, old_quantity bigint, old_unit text, old_location text, old_reorder_level bigint,
    new_code text, new_name text, new_quantity numeric, new_unit text, new_location text, new_reorder_level bigint,
    problem text,
    other text
) ON COMMIT DROP;

-- clear_review --
-- Nothing.
TRUNCATE pg_temp.import_review;

-- fill_review --
-- Nothing; each row of the file is set against the item that it means: the one with its code, else the one with its
-- name, unless code and name contradict each other. What an item is found by stays as it is written there, so does what
-- differs in white space around it, and so does every field that the file has no column for. `problem` names what
-- makes the row impossible, `other` what it is about.
INSERT INTO pg_temp.import_review
WITH found AS (
         SELECT staged.*,
                by_code.id AS id_by_code,
                by_name.id AS id_by_name,
                coalesce(by_code.id, CASE WHEN staged.code IS NULL OR by_name.code IS NULL THEN by_name.id END) AS item_id,
                by_name.code AS code_by_name,
                min(staged.line) OVER (PARTITION BY staged.name_key) AS line_of_name,
                min(staged.line) OVER (PARTITION BY staged.code_key) AS line_of_code
           FROM public.inventory_import_rows AS staged
           LEFT JOIN public.inventory AS by_code
             ON public.inventory_fold(by_code.code) COLLATE "C" = staged.code_key
           LEFT JOIN public.inventory AS by_name
             ON public.inventory_fold(by_name.name) COLLATE "C" = staged.name_key
          WHERE staged.import_id = %(id)s),
     compared AS (
         SELECT found.line, found.name, found.code, item.id, item.version,
                item.code AS old_code, item.name AS old_name, item.quantity AS old_quantity,
                item.unit AS old_unit, item.location AS old_location, item.reorder_level AS old_reorder_level,
                CASE WHEN 'code' = ANY(%(columns)s) AND id_by_code IS NULL
                      AND nullif(public.inventory_trim(item.code), '') IS DISTINCT FROM found.code
                     THEN found.code ELSE item.code END AS new_code,
                CASE WHEN 'name' = ANY(%(columns)s) AND (item.id IS NULL OR id_by_code IS NOT NULL)
                      AND public.inventory_trim(item.name) IS DISTINCT FROM found.name
                     THEN found.name ELSE item.name END AS new_name,
                CASE WHEN 'quantity' = ANY(%(columns)s) THEN found.quantity
                     WHEN 'delta' = ANY(%(columns)s) THEN coalesce(item.quantity, 0)::numeric + found.delta
                     ELSE item.quantity END AS new_quantity,
                CASE WHEN 'unit' = ANY(%(columns)s)
                      AND nullif(public.inventory_trim(item.unit), '') IS DISTINCT FROM found.unit
                     THEN found.unit ELSE item.unit END AS new_unit,
                CASE WHEN 'location' = ANY(%(columns)s)
                      AND nullif(public.inventory_trim(item.location), '') IS DISTINCT FROM found.location
                     THEN found.location ELSE item.location END AS new_location,
                CASE WHEN 'reorder_level' = ANY(%(columns)s)
                     THEN found.reorder_level ELSE item.reorder_level END AS new_reorder_level,
                id_by_code, id_by_name, code_by_name,
                CASE WHEN name_key IS NOT NULL THEN line_of_name END AS line_of_name,
                CASE WHEN code_key IS NOT NULL THEN line_of_code END AS line_of_code,
                CASE WHEN item.id IS NOT NULL THEN min(found.line) OVER (PARTITION BY item.id) END AS line_of_item
           FROM found
           LEFT JOIN public.inventory AS item ON item.id = found.item_id)
SELECT line, id, version,
       old_code, old_name, old_quantity, old_unit, old_location, old_reorder_level,
       new_code, new_name, new_quantity, new_unit, new_location, new_reorder_level,
       problem,
       CASE problem WHEN 'name twice' THEN line_of_name::text
                    WHEN 'code twice' THEN line_of_code::text
                    WHEN 'item twice' THEN line_of_item::text
                    WHEN 'other code' THEN code_by_name
                    WHEN 'name taken' THEN name
                    WHEN 'too few' THEN old_quantity::text END AS other
  FROM compared,
       LATERAL (SELECT CASE
           WHEN line_of_name < line THEN 'name twice'
           WHEN line_of_code < line THEN 'code twice'
           WHEN line_of_item < line THEN 'item twice'
           WHEN id IS NULL AND id_by_name IS NOT NULL THEN 'other code'
           WHEN id <> id_by_name THEN 'name taken'
           WHEN new_name IS NULL THEN 'no name'
           WHEN new_quantity IS NULL THEN 'no quantity'
           WHEN new_quantity < 0 AND id IS NULL THEN 'not there'
           WHEN new_quantity < 0 THEN 'too few'
           WHEN new_quantity > 9223372036854775807 THEN 'too many' END AS problem) AS judged;

-- analyze_review --
-- Nothing; the planner knows how many rows there are.
ANALYZE pg_temp.import_review;

-- review_counts --
-- One row: how many items are new, changed and unchanged, how many rows are impossible, and a number that differs
-- when the import would find other values to write over. Adding a delta writes over nothing.
SELECT count(*) FILTER (WHERE item_id IS NULL) AS added,
       count(*) FILTER (WHERE item_id IS NOT NULL AND is_changed) AS changed,
       count(*) FILTER (WHERE item_id IS NOT NULL AND NOT is_changed) AS unchanged,
       count(problem) AS problems,
       coalesce(sum(hashtextextended(basis, 0)::numeric), 0)::text AS digest
  FROM pg_temp.import_review,
       LATERAL (SELECT (old_code, old_name, old_quantity, old_unit, old_location, old_reorder_level)
                       IS DISTINCT FROM
                       (new_code, new_name, new_quantity, new_unit, new_location, new_reorder_level) AS is_changed,
                       (line, problem,
                        CASE WHEN 'code' = ANY(%(columns)s) THEN old_code END,
                        CASE WHEN 'name' = ANY(%(columns)s) THEN old_name END,
                        CASE WHEN 'quantity' = ANY(%(columns)s) THEN old_quantity END,
                        CASE WHEN 'unit' = ANY(%(columns)s) THEN old_unit END,
                        CASE WHEN 'location' = ANY(%(columns)s) THEN old_location END,
                        CASE WHEN 'reorder_level' = ANY(%(columns)s) THEN old_reorder_level END)::text AS basis) AS seen;

-- review_problems --
-- The first rows that are impossible.
SELECT line, problem, other
  FROM pg_temp.import_review
 WHERE problem IS NOT NULL
 ORDER BY line
 LIMIT %(limit)s;

-- review_changes --
-- The first items that would change, before and after.
SELECT *
  FROM pg_temp.import_review
 WHERE item_id IS NOT NULL
   AND (old_code, old_name, old_quantity, old_unit, old_location, old_reorder_level)
       IS DISTINCT FROM
       (new_code, new_name, new_quantity, new_unit, new_location, new_reorder_level)
 ORDER BY line
 LIMIT %(limit)s;

-- review_additions --
-- The first items that would be new.
SELECT *
  FROM pg_temp.import_review
 WHERE item_id IS NULL
 ORDER BY line
 LIMIT %(limit)s;

-- lock_reviewed --
-- One row: how many items are not any more as they were reviewed; all others stay as they are until the transaction ends.
SELECT count(*) AS moved
  FROM pg_temp.import_review AS review
  LEFT JOIN (SELECT id, version
               FROM public.inventory
              WHERE id IN (SELECT item_id FROM pg_temp.import_review)
              ORDER BY id
                FOR UPDATE) AS locked ON locked.id = review.item_id
 WHERE review.item_id IS NOT NULL
   AND locked.version IS DISTINCT FROM review.version;

-- apply_changes --
-- Nothing; the items that the file changes are changed.
UPDATE public.inventory AS item
   SET code = changed.new_code,
       name = changed.new_name,
       quantity = changed.new_quantity,
       unit = changed.new_unit,
       location = changed.new_location,
       reorder_level = changed.new_reorder_level
  FROM (SELECT *
          FROM pg_temp.import_review
         WHERE (old_code, old_name, old_quantity, old_unit, old_location, old_reorder_level)
               IS DISTINCT FROM
               (new_code, new_name, new_quantity, new_unit, new_location, new_reorder_level)) AS changed
 WHERE item.id = changed.item_id;

-- apply_additions --
-- Nothing; the items that are new are added, in the order of the file.
INSERT INTO public.inventory (code, name, quantity, unit, location, reorder_level)
SELECT new_code, new_name, new_quantity, new_unit, new_location, new_reorder_level
  FROM pg_temp.import_review
 WHERE item_id IS NULL
 ORDER BY line;
