-- The level of each line (0 is DEBUG, 4 is CRITICAL), so that a window of a level or a count reads only the index.
-- nightferry.backend.log_lines.judge_level has the rule for new lines.
ALTER TABLE log_line ADD COLUMN level INTEGER NOT NULL DEFAULT 1;
UPDATE log_line SET level = CASE json_extract(text, '$.level')
    WHEN 'DEBUG' THEN 0 WHEN 'WARNING' THEN 2 WHEN 'ERROR' THEN 3 WHEN 'CRITICAL' THEN 4 ELSE 1 END
    WHERE CASE WHEN substr(text, 1, 1) = '{' AND json_valid(text) THEN json_type(text, '$.message') END IS NOT NULL;
DROP INDEX log_line_by_run;
CREATE INDEX log_line_by_run ON log_line (run, position, level);
