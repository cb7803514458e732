-- Select one row per SSN: the name in the last line of the newest quarter, and the stored or new employee.
-- Known people retain their names unless the file renames people. A repeated import retains the names of later files. A
-- replay has only some lines of its file, so a line of an older quarter than a stored one does not rename a person.
-- One integer identifies the line: the day number of the quarter, followed by 40 bits of the line number.
CREATE TEMPORARY TABLE person ON COMMIT DROP AS
WITH named AS (
    SELECT
        ssn, filing_period, lpad(ssn::text, 9, '0') AS tax_identifier, first_name, last_name,
        (%(uuid_prefix)s || to_hex(268435456 + row_number() OVER (ORDER BY ssn)))::uuid AS new_id
    FROM staged_wage
    WHERE line_number IN (
        SELECT max((filing_period - date '0001-01-01')::bigint << 40 | line_number) & 1099511627775
        FROM staged_wage
        GROUP BY ssn
    )
)
SELECT
    named.ssn,
    named.tax_identifier,
    stored_tax.tax_identifier_id IS NULL AS is_new_tax_identifier,
    coalesce(stored_tax.tax_identifier_id, named.new_id) AS tax_identifier_id,
    employee.employee_id IS NULL AS is_new,
    coalesce(employee.employee_id, named.new_id) AS employee_id,
    named.new_id,
    coalesce(nullif(named.first_name, ''), employee.first_name, '') AS first_name,
    coalesce(nullif(named.last_name, ''), employee.last_name, '') AS last_name,
    %(renames)s AND employee.employee_id IS NOT NULL AND (
        coalesce(nullif(named.first_name, ''), employee.first_name) <> employee.first_name
        OR coalesce(nullif(named.last_name, ''), employee.last_name) <> employee.last_name
    ) AND coalesce(employee.latest_import_log_id, 0) NOT IN (
        SELECT import_log_id FROM later_import WHERE NOT is_own OR %(is_replay)s
    ) AND NOT (%(is_replay)s AND EXISTS (
        SELECT FROM wages_and_contributions AS stored
        WHERE stored.employee_id = employee.employee_id AND stored.filing_period > named.filing_period
    )) AS is_renamed
FROM named
LEFT JOIN tax_identifier AS stored_tax ON stored_tax.tax_identifier = named.tax_identifier
LEFT JOIN employee ON employee.tax_identifier_id = stored_tax.tax_identifier_id
