-- The known employees of whom the file says something else than we have, with what they will have. Empty says nothing.
CREATE TEMPORARY TABLE person_change ON COMMIT DROP AS
WITH merged AS (
    SELECT
        stored.employee_id,
        coalesce(said.title_id, stored.title_id) AS title_id,
        coalesce(said.gender_id, stored.gender_id) AS gender_id,
        CASE WHEN said.marital_status_id IS NULL THEN stored.marital_status_id ELSE nullif(said.marital_status_id, 0) END AS marital_status_id,
        coalesce(said.occupation_id, stored.occupation_id) AS occupation_id,
        coalesce(said.date_of_birth, stored.date_of_birth) AS date_of_birth,
        coalesce(said.phone_number, stored.phone_number) AS phone_number,
        coalesce(said.cell_phone_number, stored.cell_phone_number) AS cell_phone_number,
        coalesce(said.email_address, stored.email_address) AS email_address,
        coalesce(said.fineos_customer_number, stored.fineos_customer_number) AS fineos_customer_number
    FROM person_update AS said
    JOIN employee AS stored USING (employee_id)
)
SELECT merged.*
FROM merged
JOIN employee AS stored USING (employee_id)
WHERE (merged.title_id, merged.gender_id, merged.marital_status_id, merged.occupation_id, merged.date_of_birth,
       merged.phone_number, merged.cell_phone_number, merged.email_address, merged.fineos_customer_number)
      IS DISTINCT FROM
      (stored.title_id, stored.gender_id, stored.marital_status_id, stored.occupation_id, stored.date_of_birth,
       stored.phone_number, stored.cell_phone_number, stored.email_address, stored.fineos_customer_number)
