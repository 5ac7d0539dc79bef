--
-- bad input to the bulk functions: one clear error each, and nothing half done
--
\set VERBOSITY default
CREATE TABLE bulk_e (id int PRIMARY KEY, v varchar(3), n int NOT NULL DEFAULT 0, g int GENERATED ALWAYS AS IDENTITY);
SELECT inserted FROM dbutil.bulk_insert('bulk_e', '[{"id": 1}, {"id": 2}]');
SELECT * FROM dbutil.bulk_insert('no_such_table', '[]');
SELECT * FROM dbutil.bulk_insert(NULL, '[]'::jsonb);
SELECT * FROM dbutil.bulk_insert('bulk_e', NULL::jsonb);
SELECT * FROM dbutil.bulk_insert('bulk_e', '{"id": 3}');
SELECT * FROM dbutil.bulk_insert('bulk_e', '[[1]]');
SELECT * FROM dbutil.bulk_insert('bulk_e', '[1]');
SELECT * FROM dbutil.bulk_insert('bulk_e', '[{"id": 3},');
SELECT * FROM dbutil.bulk_insert('bulk_e', '[{"id": 3, "nix": 1}]');
SELECT * FROM dbutil.bulk_insert('bulk_e', '[{"id": 3}, {"id": "three"}]');
SELECT * FROM dbutil.bulk_insert('bulk_e', '[{"id": 3}, {"id": 4, "v": "long"}]');
SELECT * FROM dbutil.bulk_insert('bulk_e', '[{"id": 3}, {"id": 4, "n": null}]');
SELECT * FROM dbutil.bulk_insert('bulk_e', '[{"id": 3}, {"id": 1}]');
SELECT * FROM dbutil.bulk_insert('bulk_e', '[{"id": 3, "g": 1}]');
SELECT * FROM dbutil.bulk_insert('bulk_e', ARRAY[[1, 2], [3, 4]], columns => '{id}');
SELECT * FROM dbutil.bulk_insert('bulk_e', ARRAY[1]);
SELECT * FROM dbutil.bulk_insert('bulk_e', ARRAY[NULL]::bulk_e[]);
SELECT * FROM dbutil.bulk_insert('bulk_e', '[]', on_conflict => 'maybe');
SELECT * FROM dbutil.bulk_insert('bulk_e', '[]', columns => '{id,id}');
SELECT * FROM dbutil.bulk_insert('bulk_e', '[]', columns => '{nix}');
SELECT * FROM dbutil.bulk_insert('bulk_e', '[]', chunk_rows => 0);
SELECT * FROM dbutil.bulk_insert('bulk_e', '[{"id": 7, "v": "a"}, {"id": 7, "v": "b"}]', on_conflict => 'update');
SELECT * FROM dbutil.bulk_update('bulk_e', '[{"id": 1, "v": "a"}, {"id": 2, "v": "b"}, {"id": 1, "n": 5}]');
SELECT * FROM dbutil.bulk_update('bulk_e', '[{"id": null, "v": "a"}]');
SELECT * FROM dbutil.bulk_update('bulk_e', '[{"v": "a"}]');
SELECT * FROM dbutil.bulk_update('bulk_e', '[{"id": 1}]');
SELECT * FROM dbutil.bulk_update('bulk_e', '[{"id": 1, "v": "a"}, {"id": 9, "v": "b"}]', missing => 'error');
SELECT * FROM dbutil.bulk_update('bulk_e', '[{"id": 1, "v": "a"}]', key => '{v}');
SELECT * FROM dbutil.bulk_update('bulk_e', '[{"id": 1, "v": "a"}]', set_columns => '{id}');
SELECT * FROM dbutil.bulk_delete('bulk_e', ARRAY[1, NULL]);
SELECT * FROM dbutil.bulk_delete('bulk_e', '[1, 1]');
SELECT * FROM dbutil.bulk_delete('bulk_e', '[1, 9]', missing => 'error');
CREATE TABLE bulk_nopk (i int);
SELECT * FROM dbutil.bulk_delete('bulk_nopk', '[1]');
CREATE VIEW bulk_ev AS SELECT * FROM bulk_e;
SELECT * FROM dbutil.bulk_delete('bulk_ev', '[1]', key => '{id}');
CREATE SEQUENCE bulk_seq;
SELECT * FROM dbutil.bulk_insert('bulk_seq', '[]');
-- nothing of all that was written
SELECT id, v, n FROM bulk_e ORDER BY id;
-- rights are those of plain SQL
CREATE ROLE regress_bulk_a;
GRANT SELECT, INSERT (id, v), DELETE ON bulk_e TO regress_bulk_a;
SET ROLE regress_bulk_a;
SELECT inserted FROM dbutil.bulk_insert('bulk_e', '[{"id": 5, "v": "a"}]');
SELECT inserted FROM dbutil.bulk_insert('bulk_e', '[{"id": 6, "n": 1}]');
SELECT updated FROM dbutil.bulk_update('bulk_e', '[{"id": 5, "v": "b"}]');
RESET ROLE;
ALTER TABLE bulk_e ENABLE ROW LEVEL SECURITY;
CREATE POLICY small ON bulk_e TO regress_bulk_a USING (id < 3) WITH CHECK (id < 100);
SET ROLE regress_bulk_a;
SELECT inserted FROM dbutil.bulk_insert('bulk_e', '[{"id": 50, "v": "a"}]');
SELECT inserted FROM dbutil.bulk_insert('bulk_e', '[{"id": 500, "v": "a"}]');
SELECT deleted, missing FROM dbutil.bulk_delete('bulk_e', '[1, 5]');
RESET ROLE;
SELECT id FROM bulk_e ORDER BY id;
DROP TABLE bulk_e, bulk_nopk CASCADE;
DROP SEQUENCE bulk_seq;
DROP ROLE regress_bulk_a;
