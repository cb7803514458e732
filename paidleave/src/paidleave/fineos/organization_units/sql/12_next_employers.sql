-- Return the next employers in the list of administrators in the order of their IDs. A FEIN of several is skipped.
SELECT employer_id, employer_fein, fineos_employer_id
FROM employer
WHERE employer_fein IN (SELECT staged.fein FROM staged_administrator AS staged)
  AND NOT EXISTS (
      SELECT FROM employer AS twin
      WHERE twin.employer_fein = employer.employer_fein AND twin.employer_id <> employer.employer_id
  )
  AND employer_id > %(after)s
ORDER BY employer_id
LIMIT %(limit)s
