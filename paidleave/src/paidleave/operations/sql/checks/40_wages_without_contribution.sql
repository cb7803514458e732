-- Quarters of an employer with wages but no contribution, since the first quarter that has contributions.
SELECT count(*)
FROM (
    SELECT employer_id, filing_period FROM wages_and_contributions
    WHERE filing_period >= (SELECT min(filing_period) FROM employer_quarterly_contribution)
    EXCEPT
    SELECT employer_id, filing_period FROM employer_quarterly_contribution
) AS missing
