-- Quarters that an employer has wages for and no contribution of, from the first quarter on that has contributions.
SELECT count(*)
FROM (
    SELECT employer_id, filing_period FROM wages_and_contributions
    WHERE filing_period >= (SELECT min(filing_period) FROM employer_quarterly_contribution)
    EXCEPT
    SELECT employer_id, filing_period FROM employer_quarterly_contribution
) AS missing
