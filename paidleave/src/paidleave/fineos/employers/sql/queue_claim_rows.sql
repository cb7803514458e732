-- Claim all queue rows of the locked employers, except those that a live loader claimed before the lock.
UPDATE employer_push_to_fineos_queue AS queue
SET process_id = %(process_id)s, claimed_by = %(loader)s, lease_expires_at = now() + %(lease)s, updated_at = now()
FROM employer
WHERE queue.employer_id = ANY (%(employers)s)
  AND queue.action IN ('INSERT', 'UPDATE')
  AND employer.employer_id = queue.employer_id
  AND NOT EXISTS (
      SELECT FROM employer_push_to_fineos_queue AS other
      WHERE other.employer_id = queue.employer_id
        AND other.lease_expires_at >= now()
        AND hashtextextended(other.claimed_by, %(claimants)s) IN (SELECT lock_key FROM live_claimant)
  )
RETURNING
    queue.employer_push_to_fineos_queue_id AS row_id, queue.action, queue.modified_at, queue.attempts,
    queue.family_exemption AS family_before, queue.medical_exemption AS medical_before,
    queue.exemption_commence_date AS commence_before, queue.exemption_cease_date AS cease_before,
    employer.employer_id, employer.employer_fein, employer.employer_name, employer.employer_dba,
    employer.family_exemption, employer.medical_exemption,
    employer.exemption_commence_date, employer.exemption_cease_date, employer.fineos_employer_id;
