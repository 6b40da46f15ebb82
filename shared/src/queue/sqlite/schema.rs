//! The file's tables and every statement that runs over them.
//!
//! `fair_group` counts a queue's messages by group and state; triggers keep it, so that no statement can forget to. Bodies
//! have a table of their own, or each lease would write its body anew. Times are Unix milliseconds.

use crate::sqlite::Schema;

/// `message.state`: can be received, whatever the clock says.
pub(super) const READY: i64 = 0;
/// `message.state`: sent, and not received before `visible_at`.
pub(super) const DELAYED: i64 = 1;
/// `message.state`: received, and not received again before `visible_at`.
pub(super) const LEASED: i64 = 2;

/// The queue file.
pub(super) const SCHEMA: Schema = Schema {
    file: "queue.db",
    version: 1,
    synchronous: "FULL",
    create: "
        CREATE TABLE fair_group (
            id INTEGER PRIMARY KEY,
            queue TEXT NOT NULL,
            name TEXT NOT NULL,
            ready INTEGER NOT NULL DEFAULT 0,
            delayed INTEGER NOT NULL DEFAULT 0,
            leased INTEGER NOT NULL DEFAULT 0,
            served INTEGER NOT NULL DEFAULT 0, -- when it was last received from: a counter within the queue
            UNIQUE (queue, name)
        );
        CREATE INDEX fair_group_next ON fair_group (queue, leased, served) WHERE ready > 0;
        CREATE INDEX fair_group_served ON fair_group (queue, served);

        CREATE TABLE message (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            queue TEXT NOT NULL,
            fair_group INTEGER NOT NULL,
            state INTEGER NOT NULL,
            visible_at INTEGER NOT NULL,
            received_at INTEGER NOT NULL DEFAULT 0,
            receive_count INTEGER NOT NULL DEFAULT 0,
            token BLOB -- the secret half of the receipt; kept until the next receive
        );
        CREATE INDEX message_ready ON message (fair_group, visible_at) WHERE state = 0;
        CREATE INDEX message_due ON message (queue, visible_at) WHERE state <> 0;
        CREATE TABLE body (id INTEGER PRIMARY KEY, body TEXT NOT NULL);

        CREATE TRIGGER message_sent AFTER INSERT ON message BEGIN
            UPDATE fair_group SET ready = ready + (NEW.state = 0), delayed = delayed + (NEW.state = 1),
                leased = leased + (NEW.state = 2) WHERE id = NEW.fair_group;
        END;
        CREATE TRIGGER message_turned AFTER UPDATE OF state ON message
        WHEN NEW.fair_group = OLD.fair_group AND NEW.state <> OLD.state BEGIN
            UPDATE fair_group SET ready = ready + (NEW.state = 0) - (OLD.state = 0),
                delayed = delayed + (NEW.state = 1) - (OLD.state = 1),
                leased = leased + (NEW.state = 2) - (OLD.state = 2) WHERE id = NEW.fair_group;
        END;
        CREATE TRIGGER message_moved AFTER UPDATE OF fair_group ON message BEGIN
            UPDATE fair_group SET ready = ready - (OLD.state = 0), delayed = delayed - (OLD.state = 1),
                leased = leased - (OLD.state = 2) WHERE id = OLD.fair_group;
            UPDATE fair_group SET ready = ready + (NEW.state = 0), delayed = delayed + (NEW.state = 1),
                leased = leased + (NEW.state = 2) WHERE id = NEW.fair_group;
        END;
        CREATE TRIGGER message_deleted AFTER DELETE ON message BEGIN
            UPDATE fair_group SET ready = ready - (OLD.state = 0), delayed = delayed - (OLD.state = 1),
                leased = leased - (OLD.state = 2) WHERE id = OLD.fair_group;
            DELETE FROM body WHERE id = OLD.id;
        END;
        CREATE TRIGGER fair_group_left AFTER UPDATE ON fair_group WHEN NEW.ready + NEW.delayed + NEW.leased = 0 BEGIN
            DELETE FROM fair_group WHERE id = NEW.id;
        END;",
};

pub(super) const FIND_GROUP: &str = "SELECT id FROM fair_group WHERE queue = ?1 AND name = ?2";
pub(super) const ADD_GROUP: &str = "INSERT INTO fair_group (queue, name) VALUES (?1, ?2)";
pub(super) const ADD_MESSAGE: &str =
    "INSERT INTO message (queue, fair_group, state, visible_at) VALUES (?1, ?2, ?3, ?4)";
pub(super) const ADD_BODY: &str = "INSERT INTO body (id, body) VALUES (?1, ?2)";

/// Makes ready what has become visible: some thousand at a time, so that no receive pays for a whole backlog.
pub(super) const WAKE: &str = "UPDATE message SET state = 0 WHERE id IN (
    SELECT id FROM message WHERE queue = ?1 AND state <> 0 AND visible_at <= ?2 ORDER BY visible_at LIMIT 1000)";
/// The group to serve: the one with the fewest in flight, then the one that has waited longest for its turn.
pub(super) const NEXT_GROUP: &str =
    "SELECT id FROM fair_group WHERE queue = ?1 AND ready > 0 ORDER BY leased, served LIMIT 1";
pub(super) const NEXT_MESSAGE: &str =
    "SELECT m.id, m.receive_count, c.name FROM message m JOIN fair_group c ON c.id = m.fair_group
    WHERE m.fair_group = ?1 AND m.state = 0 ORDER BY m.visible_at, m.id LIMIT 1";
pub(super) const SERVED: &str =
    "UPDATE fair_group SET served = 1 + (SELECT MAX(served) FROM fair_group WHERE queue = ?1) WHERE id = ?2";
pub(super) const LEASE: &str =
    "UPDATE message SET state = 2, visible_at = ?2, received_at = ?3, receive_count = ?4, token = ?5
    WHERE id = ?1";
pub(super) const READ_BODY: &str = "SELECT body FROM body WHERE id = ?1";
pub(super) const MOVE: &str =
    "UPDATE message SET queue = ?2, fair_group = ?3, state = 0, visible_at = ?4, receive_count = 0, token = NULL
    WHERE id = ?1";
/// When the queue next has a message that it has not now.
pub(super) const NEXT_TIME: &str = "SELECT MIN(visible_at) FROM message WHERE queue = ?1 AND state <> 0";

pub(super) const DELETE: &str = "DELETE FROM message WHERE id = ?1 AND queue = ?2 AND token = ?3";
pub(super) const FIND_LEASE: &str = "SELECT received_at, visible_at FROM message
    WHERE id = ?1 AND queue = ?2 AND token = ?3 AND state = 2 AND visible_at > ?4";
pub(super) const SET_VISIBILITY: &str = "UPDATE message SET state = ?2, visible_at = ?3 WHERE id = ?1";

pub(super) const COUNT: &str = "SELECT SUM(ready), SUM(delayed), SUM(leased) FROM fair_group WHERE queue = ?1";
/// What [`COUNT`] holds for delayed or leased and has become visible since.
pub(super) const COUNT_DUE: &str = "SELECT SUM(state = 1), SUM(state = 2) FROM message
    WHERE queue = ?1 AND state <> 0 AND visible_at <= ?2";
