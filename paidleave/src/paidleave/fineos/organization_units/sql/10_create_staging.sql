-- Create the staging tables: the list of administrators for the whole run, and for one batch its
-- employers, their units, the resulting changes, and the administrators with their links to units.
CREATE TEMPORARY TABLE staged_administrator (fein text NOT NULL, email text NOT NULL, unit_name text NOT NULL);
CREATE TEMPORARY TABLE staged_employer (employer_id uuid PRIMARY KEY) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE staged_unit (
    employer_id uuid NOT NULL,
    fineos_id text NOT NULL,
    name text NOT NULL
) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE unit_change (
    kind text NOT NULL,
    employer_id uuid NOT NULL,
    fineos_id text NOT NULL,
    name text NOT NULL,
    unit_id uuid,
    name_holder_id uuid
) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE administrator (
    employer_id uuid NOT NULL,
    email text NOT NULL,
    administrator_id uuid
) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE wanted_link (
    administrator_id uuid NOT NULL,
    unit_name text NOT NULL,
    unit_id uuid
) ON COMMIT DELETE ROWS
