-- Create the table of completely or partly rejected rows with the place and the reason, without values.
CREATE TEMPORARY TABLE rejected (
    line_number bigint NOT NULL,
    field text,
    reason text NOT NULL,
    is_whole boolean NOT NULL
) ON COMMIT DROP
