-- Determine the file that each claimed row requests: the file of the employer in the row. If the row has no employer or
-- it was deleted, it is the file of the employee's main employer, which has the latest filing period and the smallest ID.
CREATE TEMPORARY TABLE eligibility_feed_obligation AS
WITH queued AS MATERIALIZED (
    SELECT
        queue.employee_push_to_fineos_queue_id AS queue_id, queue.employee_id, queue.attempts,
        coalesce(queue.modified_at, '-infinity') AS waiting_since, employer.employer_id AS named_employer_id
    FROM employee_push_to_fineos_queue AS queue
    LEFT JOIN employer ON employer.employer_id = queue.employer_id
    WHERE queue.claimed_by = %(claim)s
), main AS MATERIALIZED (
    SELECT DISTINCT ON (wage.employee_id) wage.employee_id, wage.employer_id
    FROM wages_and_contributions AS wage
    WHERE wage.employee_id IN (SELECT queued.employee_id FROM queued)
    ORDER BY wage.employee_id, wage.filing_period DESC, wage.employer_id
)
SELECT
    queued.queue_id, queued.employee_id, queued.attempts, queued.waiting_since,
    coalesce(queued.named_employer_id, main.employer_id) AS employer_id,
    main.employer_id AS main_employer_id
FROM queued
LEFT JOIN main ON main.employee_id = queued.employee_id
