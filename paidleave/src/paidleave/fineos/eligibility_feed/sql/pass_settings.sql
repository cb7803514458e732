-- Set FINEOS's date format and more work memory for hash joins and the sort in the transaction of the pass.
SELECT set_config('datestyle', 'SQL, MDY', true), set_config('work_mem', '32MB', true)
