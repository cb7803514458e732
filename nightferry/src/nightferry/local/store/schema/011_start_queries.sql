-- Lists of starts by decision, with every filter of the interface, and of the objects known to a trigger, newest first.
-- A backfill's start is one of its schedule. A file may have any modification time; a time of Python has limits.
ALTER TABLE start ADD COLUMN declaration TEXT GENERATED ALWAYS AS (
    CASE WHEN substr(source, 1, 9) = 'backfill:' THEN 'schedule:' || substr(source, 10) ELSE source END) VIRTUAL;
DROP INDEX start_by_source;
CREATE INDEX start_by_declaration ON start (declaration, decided_at);
CREATE INDEX start_by_outcome ON start (outcome, decided_at);
CREATE INDEX start_by_declaration_outcome ON start (declaration, outcome, decided_at);
ALTER TABLE known_object ADD COLUMN modified_us INTEGER GENERATED ALWAYS AS (
    max(0, min(mtime_ns / 1000, 253402300799999999))) VIRTUAL;
CREATE INDEX known_object_by_time ON known_object (trigger, modified_us, key);
