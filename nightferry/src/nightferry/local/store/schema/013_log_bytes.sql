-- The bytes of lines that a run wrote, for the costs of its log; NULL for runs before this step, and for those without lines.
ALTER TABLE run ADD COLUMN log_bytes INTEGER;
