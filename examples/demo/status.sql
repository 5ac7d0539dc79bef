-- Is everything of dbutil on? If not, fix says what to do.
SELECT item, state, item_value AS value, fix
FROM dbutil.status();
