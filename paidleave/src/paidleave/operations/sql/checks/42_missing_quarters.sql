-- Gaps between an employer's first and last contribution; consecutive missing quarters count as one gap.
SELECT count(*)
FROM (
    SELECT filing_period, lead(filing_period) OVER (PARTITION BY employer_id ORDER BY filing_period) AS next_period
    FROM employer_quarterly_contribution
) AS filed
WHERE next_period > filing_period + interval '4 months'
