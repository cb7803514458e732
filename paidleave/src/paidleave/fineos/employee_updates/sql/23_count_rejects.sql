-- How many rows were refused, as a whole or in part, by field and reason.
SELECT is_whole, field, reason, count(*)
FROM rejected
GROUP BY is_whole, field, reason
ORDER BY count(*) DESC, field, reason
