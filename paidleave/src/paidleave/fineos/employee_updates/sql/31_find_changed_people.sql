-- Find the stored employees whose data change, with the new values. An empty value in the file changes nothing.
CREATE TEMPORARY TABLE person_change ON COMMIT DROP AS
WITH merged AS (
    SELECT
        stored.employee_id,
        coalesce(incoming.title_id, stored.title_id) AS title_id,
        coalesce(incoming.gender_id, stored.gender_id) AS gender_id,
        CASE WHEN incoming.marital_status_id IS NULL THEN stored.marital_status_id ELSE nullif(incoming.marital_status_id, 0) END AS marital_status_id,
        coalesce(incoming.occupation_id, stored.occupation_id) AS occupation_id,
        coalesce(incoming.date_of_birth, stored.date_of_birth) AS date_of_birth,
        coalesce(incoming.phone_number, stored.phone_number) AS phone_number,
        coalesce(incoming.cell_phone_number, stored.cell_phone_number) AS cell_phone_number,
        coalesce(incoming.email_address, stored.email_address) AS email_address,
        coalesce(incoming.fineos_customer_number, stored.fineos_customer_number) AS fineos_customer_number
    FROM person_update AS incoming
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
