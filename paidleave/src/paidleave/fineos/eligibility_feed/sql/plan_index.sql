-- Create the indexes for the batches, which select employees and rows by employer.
CREATE UNIQUE INDEX ON pg_temp.eligibility_feed_employer (number);
CREATE INDEX ON pg_temp.eligibility_feed_plan (employer_id);
CREATE INDEX ON pg_temp.eligibility_feed_obligation (employer_id);
ANALYZE pg_temp.eligibility_feed_employer, pg_temp.eligibility_feed_plan, pg_temp.eligibility_feed_obligation
