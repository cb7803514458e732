-- Employers without a customer number at FINEOS that are not in the queue: the nightly load never sends them.
SELECT count(*)
FROM employer
WHERE fineos_employer_id IS NULL
  AND NOT EXISTS (
      SELECT FROM employer_push_to_fineos_queue AS queue WHERE queue.employer_id = employer.employer_id
  )
