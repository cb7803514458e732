-- Reject the employers that share a unit with another employer, in the database or at FINEOS.
WITH foreign_unit AS (
    SELECT staged.employer_id
    FROM staged_unit AS staged
    JOIN organization_unit AS stored USING (fineos_id)
    WHERE stored.employer_id <> staged.employer_id
    UNION
    SELECT one.employer_id
    FROM staged_unit AS one
    JOIN staged_unit AS other USING (fineos_id)
    WHERE one.employer_id <> other.employer_id
), rejected AS (
    DELETE FROM staged_employer USING foreign_unit
    WHERE staged_employer.employer_id = foreign_unit.employer_id
    RETURNING staged_employer.employer_id
), gone AS (
    DELETE FROM staged_unit USING foreign_unit WHERE staged_unit.employer_id = foreign_unit.employer_id
)
SELECT employer_id FROM rejected
