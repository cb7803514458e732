-- Count the employers without a row in the CSVs, and those without an effective date.
SELECT
    count(*) FILTER (WHERE csv_number IS NULL) AS employers_missing_in_csv_count,
    count(*) FILTER (WHERE csv_number IS NOT NULL AND is_assumed) AS employers_without_effective_date_count
FROM employer_exemption
