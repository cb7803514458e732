-- Wage records and contributions whose filing period is not the last day of a quarter.
SELECT count(*)
FROM (
    SELECT filing_period FROM wages_and_contributions
    UNION ALL
    SELECT filing_period FROM employer_quarterly_contribution
) AS filed
WHERE filing_period <> (date_trunc('quarter', filing_period::timestamp) + interval '3 months - 1 day')::date
