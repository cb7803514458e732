-- Remove the email addresses of several administrators of an employer. Return one row for each address.
WITH ambiguous AS (
    SELECT employer_id, email FROM administrator GROUP BY employer_id, email HAVING count(*) > 1
), removed AS (
    DELETE FROM administrator USING ambiguous
    WHERE administrator.employer_id = ambiguous.employer_id AND administrator.email = ambiguous.email
)
SELECT employer_id FROM ambiguous
