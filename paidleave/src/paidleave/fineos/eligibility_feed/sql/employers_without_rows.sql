-- Return the customer numbers of the employers of full and list mode whose file has no row, in the order of the pass.
SELECT employer.fineos_employer_id
FROM employer
WHERE employer.fineos_employer_id IS NOT NULL
  AND (%(employer_ids)s::uuid[] IS NULL OR employer.employer_id = ANY (%(employer_ids)s))
  AND NOT EXISTS (
      SELECT
      FROM wages_and_contributions AS wage
      JOIN employee ON employee.employee_id = wage.employee_id
      WHERE wage.employer_id = employer.employer_id
        AND btrim(employee.first_name) <> '' AND btrim(employee.last_name) <> ''
  )
ORDER BY employer.fineos_employer_id
