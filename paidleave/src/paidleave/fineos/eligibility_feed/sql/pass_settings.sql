-- Set FINEOS's date format and more work memory for hash joins and the sort in the transaction of the pass. Reading the
-- distinct pairs from an index in its order is faster than hashing all wages, which each parallel worker would repeat.
SELECT
    set_config('datestyle', 'SQL, MDY', true), set_config('work_mem', '32MB', true),
    set_config('enable_hashagg', 'off', true)
