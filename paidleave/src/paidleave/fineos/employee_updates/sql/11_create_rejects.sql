-- The rows that are refused, and those of which a part is: where and why, without values.
CREATE TEMPORARY TABLE rejected (
    line_number bigint NOT NULL,
    field text,
    reason text NOT NULL,
    is_whole boolean NOT NULL
) ON COMMIT DROP
