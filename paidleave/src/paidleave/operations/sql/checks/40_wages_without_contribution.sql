-- Quarters of an employer with wages but no contribution, from the first to the last quarter that has contributions.
SELECT count(*)
FROM (
    SELECT employer_id, filing_period FROM wages_and_contributions
    WHERE filing_period BETWEEN (SELECT min(filing_period) FROM employer_quarterly_contribution)
                            AND (SELECT max(filing_period) FROM employer_quarterly_contribution)
    EXCEPT
    SELECT employer_id, filing_period FROM employer_quarterly_contribution
) AS missing
