-- Merge the rows of each person. Each column has the last value that is not empty.
-- Names are those of the first row that has them. They are used for new employees only.
CREATE TEMPORARY TABLE person_update ON COMMIT DROP AS
SELECT
    staged.employee_id,
    staged.first_name,
    staged.last_name,
    staged.title_id,
    staged.gender_id,
    staged.marital_status_id,
    staged.occupation_id,
    staged.date_of_birth,
    staged.phone_number,
    staged.cell_phone_number,
    staged.email_address,
    staged.fineos_customer_number
FROM staged_update AS staged
JOIN person USING (employee_id)
WHERE person.row_count = 1
UNION ALL
SELECT
    staged.employee_id,
    (array_agg(staged.first_name ORDER BY staged.line_number) FILTER (WHERE staged.first_name IS NOT NULL))[1] AS first_name,
    (array_agg(staged.last_name ORDER BY staged.line_number) FILTER (WHERE staged.last_name IS NOT NULL))[1] AS last_name,
    (array_agg(staged.title_id ORDER BY staged.line_number DESC) FILTER (WHERE staged.title_id IS NOT NULL))[1] AS title_id,
    (array_agg(staged.gender_id ORDER BY staged.line_number DESC) FILTER (WHERE staged.gender_id IS NOT NULL))[1] AS gender_id,
    (array_agg(staged.marital_status_id ORDER BY staged.line_number DESC) FILTER (WHERE staged.marital_status_id IS NOT NULL))[1] AS marital_status_id,
    (array_agg(staged.occupation_id ORDER BY staged.line_number DESC) FILTER (WHERE staged.occupation_id IS NOT NULL))[1] AS occupation_id,
    (array_agg(staged.date_of_birth ORDER BY staged.line_number DESC) FILTER (WHERE staged.date_of_birth IS NOT NULL))[1] AS date_of_birth,
    (array_agg(staged.phone_number ORDER BY staged.line_number DESC) FILTER (WHERE staged.phone_number IS NOT NULL))[1] AS phone_number,
    (array_agg(staged.cell_phone_number ORDER BY staged.line_number DESC) FILTER (WHERE staged.cell_phone_number IS NOT NULL))[1] AS cell_phone_number,
    (array_agg(staged.email_address ORDER BY staged.line_number DESC) FILTER (WHERE staged.email_address IS NOT NULL))[1] AS email_address,
    (array_agg(staged.fineos_customer_number ORDER BY staged.line_number DESC) FILTER (WHERE staged.fineos_customer_number IS NOT NULL))[1] AS fineos_customer_number
FROM staged_update AS staged
JOIN person USING (employee_id)
WHERE person.row_count > 1
GROUP BY staged.employee_id
