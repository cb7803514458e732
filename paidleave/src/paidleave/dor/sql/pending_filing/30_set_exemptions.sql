-- Set the exemption of every employer in the file from the last row of its FEIN in the newest CSV; the default is none.
-- The previous exemption ended on the effective date.
CREATE TEMPORARY TABLE employer_exemption ON COMMIT DROP AS
SELECT
    fein,
    coalesce(stated.family_exemption, false) AS family_exemption,
    coalesce(stated.medical_exemption, false) AS medical_exemption,
    coalesce(stated.effective_date, date '2022-01-01') AS cease_date,
    stated.csv_number,
    stated.effective_date IS NULL AS is_assumed
FROM named_employer
LEFT JOIN (
    SELECT DISTINCT ON (fein) * FROM staged_return ORDER BY fein, csv_number DESC, line_number DESC
) AS stated USING (fein)
