-- Select the imports whose values a repeated import retains: those of later files, and those of the same content (is_own).
-- A file has the time in its name, otherwise that of its first import, like all imports without a file. A first import
-- retains no values.
CREATE TEMPORARY TABLE later_import ON COMMIT DROP AS
WITH import AS (
    SELECT
        import_log_id,
        coalesce(file.file_time, log.start) AS time,
        coalesce(file.is_own, false) AS is_own,
        coalesce(file.is_employer_file, false) AS is_employer_file
    FROM import_log AS log
    LEFT JOIN (
        SELECT
            import_log_id,
            max(file_time) AS file_time,
            bool_or(kind = %(kind)s AND digest = %(digest)s) AS is_own,
            bool_or(kind = 'employer file') AS is_employer_file
        FROM dor_imported_file
        GROUP BY import_log_id
    ) AS file USING (import_log_id)
    WHERE %(is_repeat)s
), own AS (
    SELECT coalesce(%(file_time)s::timestamptz, min(time), now()) AS time,
           coalesce(min(import_log_id), %(import_log_id)s) AS first_id
    FROM import
    WHERE is_own
)
SELECT import.import_log_id, import.is_own, import.is_employer_file
FROM import, own
WHERE import.import_log_id <> %(import_log_id)s
  AND (import.is_own OR (import.time, import.import_log_id) > (own.time, own.first_id))
