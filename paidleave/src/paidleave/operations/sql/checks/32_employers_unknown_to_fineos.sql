-- Employers that FINEOS does not know and that nobody has queued: the nightly load will never send them.
SELECT count(*)
FROM employer
WHERE fineos_employer_id IS NULL
  AND NOT EXISTS (
      SELECT FROM employer_push_to_fineos_queue AS queue WHERE queue.employer_id = employer.employer_id
  )
