-- For the pass's transaction: write dates as FINEOS reads them, and give its hash joins and sort more than 4 MB.
SELECT set_config('datestyle', 'SQL, MDY', true), set_config('work_mem', '32MB', true)
