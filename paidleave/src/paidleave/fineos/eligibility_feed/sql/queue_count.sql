-- Count the employees in the queue for this run, and those that cannot be sent, by reason.
SELECT
    count(*) FILTER (WHERE NOT held) AS pending,
    count(*) FILTER (WHERE held) AS held,
    count(*) FILTER (WHERE NOT held AND NOT has_name) AS without_name,
    count(*) FILTER (WHERE NOT held AND has_name AND NOT has_employer) AS without_employer
FROM eligibility_feed_candidate
