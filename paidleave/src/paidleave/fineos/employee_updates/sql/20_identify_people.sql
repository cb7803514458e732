-- Determine for each employee ID of the file whether it is stored and the outcome of its rows.
-- An unknown ID becomes a new employee if its SSN belongs to no stored employee and to no earlier ID in the file.
-- The SSN of an ID is that of its first row with an SSN.
CREATE TEMPORARY TABLE person ON COMMIT DROP AS
WITH known AS (
    SELECT staged.employee_id, count(*) AS row_count, min(staged.line_number) AS first_line,
           bool_or(stored.employee_id IS NOT NULL) AS is_known
    FROM staged_update AS staged
    LEFT JOIN employee AS stored USING (employee_id)
    GROUP BY staged.employee_id
), first_tax_identifier AS (
    SELECT DISTINCT ON (employee_id) employee_id, tax_identifier
    FROM staged_update
    JOIN known USING (employee_id)
    WHERE NOT is_known AND tax_identifier IS NOT NULL
    ORDER BY employee_id, line_number
)
SELECT
    known.*,
    first_tax_identifier.tax_identifier,
    stored_tax.tax_identifier_id,
    CASE
        WHEN is_known THEN 'update'
        WHEN first_tax_identifier.tax_identifier IS NULL THEN 'no SSN'
        WHEN owner.employee_id IS NOT NULL THEN 'SSN of another'
        WHEN row_number() OVER (PARTITION BY first_tax_identifier.tax_identifier ORDER BY first_line) > 1
            THEN 'SSN of another'
        ELSE 'create'
    END AS outcome
FROM known
LEFT JOIN first_tax_identifier USING (employee_id)
LEFT JOIN tax_identifier AS stored_tax ON stored_tax.tax_identifier = first_tax_identifier.tax_identifier
LEFT JOIN employee AS owner ON owner.tax_identifier_id = stored_tax.tax_identifier_id
