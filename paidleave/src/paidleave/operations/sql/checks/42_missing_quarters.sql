-- Gaps: quarters between an employer's first and last contribution for which there is none, one after another as one.
SELECT count(*)
FROM (
    SELECT filing_period, lead(filing_period) OVER (PARTITION BY employer_id ORDER BY filing_period) AS next_period
    FROM employer_quarterly_contribution
) AS filed
WHERE next_period > filing_period + interval '4 months'
