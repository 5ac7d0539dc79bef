-- Is everything of dbutil on?
SELECT item, state, item_value AS value FROM dbutil.status();

-- What to do about what is not.
\pset format unaligned
\pset tuples_only on
SELECT format('%s: %s', item, fix) FROM dbutil.status() WHERE fix IS NOT NULL;
