-- What people did: the request before the action, and its result after it. Rows are only added.
-- Pruning deletes those before the time in action_pruning, which has a row only during its transaction.
CREATE TABLE action (
    id TEXT PRIMARY KEY,
    time TEXT NOT NULL,
    author TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    reason TEXT NOT NULL,
    via TEXT NOT NULL
) STRICT;
CREATE INDEX action_by_time ON action (time, id);
CREATE INDEX action_by_author ON action (author, time, id);
CREATE INDEX action_by_name ON action (action, time, id);
CREATE INDEX action_by_author_name ON action (author, action, time, id);

CREATE TABLE action_result (
    action TEXT PRIMARY KEY REFERENCES action (id),
    time TEXT NOT NULL,
    failed INTEGER NOT NULL,
    text TEXT NOT NULL,
    ids TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The target and the IDs of the result, with the time of the action.
CREATE TABLE action_subject (
    subject TEXT NOT NULL,
    time TEXT NOT NULL,
    action TEXT NOT NULL REFERENCES action (id),
    PRIMARY KEY (subject, time, action)
) STRICT, WITHOUT ROWID;
CREATE INDEX action_subject_by_action ON action_subject (action);

CREATE TABLE action_pruning (before TEXT NOT NULL) STRICT;

-- INSERT OR REPLACE deletes without the triggers of DELETE, so an insert of an existing row is refused too.
CREATE TRIGGER action_once BEFORE INSERT ON action WHEN EXISTS (SELECT 1 FROM action WHERE id = new.id) BEGIN SELECT raise(ABORT, 'an action is recorded once'); END;
CREATE TRIGGER action_fixed BEFORE UPDATE ON action BEGIN SELECT raise(ABORT, 'actions cannot be changed'); END;
CREATE TRIGGER action_kept BEFORE DELETE ON action WHEN NOT EXISTS (SELECT 1 FROM action_pruning WHERE before > old.time) BEGIN SELECT raise(ABORT, 'actions cannot be deleted before their retention ends'); END;
CREATE TRIGGER action_result_once BEFORE INSERT ON action_result WHEN EXISTS (SELECT 1 FROM action_result WHERE action = new.action) BEGIN SELECT raise(ABORT, 'the result of an action is recorded once'); END;
CREATE TRIGGER action_result_fixed BEFORE UPDATE ON action_result BEGIN SELECT raise(ABORT, 'results of actions cannot be changed'); END;
CREATE TRIGGER action_result_kept BEFORE DELETE ON action_result WHEN NOT EXISTS (SELECT 1 FROM action_pruning, action WHERE action.id = old.action AND before > action.time) BEGIN SELECT raise(ABORT, 'actions cannot be deleted before their retention ends'); END;
CREATE TRIGGER action_subject_fixed BEFORE UPDATE ON action_subject BEGIN SELECT raise(ABORT, 'actions cannot be changed'); END;
CREATE TRIGGER action_subject_kept BEFORE DELETE ON action_subject WHEN NOT EXISTS (SELECT 1 FROM action_pruning WHERE before > old.time) BEGIN SELECT raise(ABORT, 'actions cannot be deleted before their retention ends'); END;
