-- The objects known to each trigger, so that every version starts the target exactly once, even after a time without an engine.
CREATE TABLE object_trigger (
    name TEXT PRIMARY KEY,
    bucket TEXT NOT NULL,
    prefix TEXT NOT NULL,
    suffix TEXT NOT NULL,
    since TEXT NOT NULL
) STRICT;

-- version is NULL for an object that existed before the trigger, because the engine has not read its content.
CREATE TABLE known_object (
    trigger TEXT NOT NULL REFERENCES object_trigger (name) ON DELETE CASCADE,
    key TEXT NOT NULL,
    mtime_ns INTEGER NOT NULL,
    size INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    version TEXT,
    gone_at TEXT,
    PRIMARY KEY (trigger, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX known_object_gone ON known_object (gone_at) WHERE gone_at IS NOT NULL;
