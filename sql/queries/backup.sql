-- backup_tables --
-- What a backup holds: those of the tables %(names)s that are not made to be lost (UNLOGGED), the ones that others
-- refer to first, each with its columns but the generated ones, and the types of those.
SELECT c.relname::text AS name,
       array_agg(a.attname::text ORDER BY a.attnum) FILTER (WHERE a.attgenerated = '') AS columns,
       array_agg(format_type(a.atttypid, NULL) ORDER BY a.attnum) FILTER (WHERE a.attgenerated = '') AS types
  FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY (%(names)s::text[])
   AND c.relkind = 'r' AND c.relpersistence = 'p'
 GROUP BY c.oid
 ORDER BY c.oid;

-- type_called --
-- One row: a type's name as SQL, whatever the text; NULL: this database has none of that name.
SELECT to_regtype(%(name)s)::text AS type;

-- identities --
-- The columns that number the rows of the tables %(names)s, and the next number of each.
SELECT c.relname::text AS table, a.attname::text AS column,
       coalesce(pg_sequence_last_value(pg_get_serial_sequence(format('public.%%I', c.relname), a.attname)::regclass), 0) + 1
           AS next
  FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
 WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY (%(names)s::text[]) AND c.relkind = 'r'
   AND a.attidentity <> '';

-- removals --
-- The statements that remove the objects %(names)s, in an order in which they can: a function may take a table's row,
-- a table may be made of functions.
WITH relations AS (
         SELECT format('public.%%I', relname) AS name, relkind FROM pg_class
          WHERE relnamespace = 'public'::regnamespace AND relname = ANY (%(names)s::text[])),
     routines AS (
         SELECT oid::regprocedure::text AS name,
                EXISTS (SELECT FROM pg_type WHERE oid = ANY (proargtypes) AND typrelid <> 0) AS takes_row
           FROM pg_proc
          WHERE pronamespace = 'public'::regnamespace AND proname = ANY (%(names)s::text[])),
     removals (place, kind, names) AS (
         SELECT 1, 'ROUTINE', string_agg(name, ', ') FROM routines WHERE takes_row
          UNION ALL
         SELECT 2, 'VIEW', string_agg(name, ', ') FROM relations WHERE relkind = 'v'
          UNION ALL
         SELECT 3, 'TABLE', string_agg(name, ', ') FROM relations WHERE relkind = 'r'
          UNION ALL
         SELECT 4, 'ROUTINE', string_agg(name, ', ') FROM routines WHERE NOT takes_row)
SELECT format('DROP %%s %%s', kind, names) AS statement FROM removals WHERE names IS NOT NULL ORDER BY place;

-- grants --
-- What others than its owner may do with the tables and views %(names)s, as the statements that allow it.
SELECT format('GRANT %%s ON public.%%I TO %%s', privilege_type, relname,
              CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END)
       || CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END AS statement
  FROM pg_class, aclexplode(relacl)
 WHERE relnamespace = 'public'::regnamespace AND relname = ANY (%(names)s::text[]) AND relkind IN ('r', 'v')
   AND grantee <> relowner;
