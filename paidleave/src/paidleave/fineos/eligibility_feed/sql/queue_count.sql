-- Count the employees in the queue for this run, and those that cannot be sent, by reason.
SELECT
    count(*) FILTER (WHERE NOT held) AS pending,
    count(*) FILTER (WHERE held) AS held,
    count(*) FILTER (WHERE NOT held AND NOT named) AS nameless,
    count(*) FILTER (WHERE NOT held AND named AND NOT employed) AS unemployed
FROM eligibility_feed_candidate
