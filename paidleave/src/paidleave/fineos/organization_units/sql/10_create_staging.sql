-- Create the staging tables for one batch: the employers that FINEOS returned, their units, and the resulting changes.
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
) ON COMMIT DELETE ROWS
