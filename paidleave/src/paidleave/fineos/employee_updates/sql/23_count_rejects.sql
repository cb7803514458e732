-- Count the completely and partly rejected rows by field and reason.
SELECT is_whole, field, reason, count(*)
FROM rejected
GROUP BY is_whole, field, reason
ORDER BY count(*) DESC, field, reason
