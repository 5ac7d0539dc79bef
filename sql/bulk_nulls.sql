--
-- an upsert judges NULL keys as its unique index does, also across chunks
--
CREATE TABLE bulk_nd (a int, v text, UNIQUE NULLS NOT DISTINCT (a));
CREATE TABLE bulk_d (a int, v text, UNIQUE (a));
SELECT rows_in, inserted FROM dbutil.bulk_insert('bulk_nd', '[{"a": null, "v": "x"}, {"a": null, "v": "y"}]',
	on_conflict => 'update', conflict_columns => '{a}', chunk_rows => 1);
SELECT rows_in, inserted, updated FROM dbutil.bulk_insert('bulk_nd', '[{"a": null, "v": "x"}]',
	on_conflict => 'update', conflict_columns => '{a}');
SELECT rows_in, inserted, updated FROM dbutil.bulk_insert('bulk_nd', '[{"a": null, "v": "y"}]',
	on_conflict => 'update', conflict_columns => '{a}');
TABLE bulk_nd;
-- where NULLs are distinct, each is a row of its own
SELECT rows_in, inserted FROM dbutil.bulk_insert('bulk_d', '[{"a": null, "v": "x"}, {"a": null, "v": "y"}]',
	on_conflict => 'update', conflict_columns => '{a}', chunk_rows => 1);
SELECT count(*) FROM bulk_d;
DROP TABLE bulk_nd, bulk_d;
