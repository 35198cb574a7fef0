//! Connection pools that had nothing to give, and servers that take no more connections. A policy
//! may be behind it (no connection could be made), or load.

use super::super::LogClass::Pool;
use super::{Rule, by, likely, sure};

pub(super) const RULES: &[Rule] = &[
    by(
        "Java pool",
        sure(
            Pool,
            r"connection is not available, request timed out|Connection ?PoolTimeoutException|timeout waiting for connection from pool|timeout waiting for idle object|cannot get a connection, pool error|pool exhausted|JedisExhaustedPool|PoolAcquireTimeout|pending acquire queue has reached|acquire operation took longer|could not acquire a? ?connection|unable to acquire JDBC connection.{0,60}pool|no managed connections available|ConnectionRequestTimeoutException|timeout deadline: \d+ .{0,40}acqui",
        ),
    ),
    by(
        "Java pool",
        likely(
            Pool,
            r"could not get a resource (?:from|since) the pool|unable to fetch a connection in \d+ seconds|PoolExhaustedException",
        ),
    ),
    by(
        "Node pool",
        sure(
            Pool,
            r"timeout acquiring a connection|the pool is probably full|ConnectionAcquireTimeout|ResourceRequest timed out|pool timeout: failed to retrieve a connection|acquireConnection.{0,30}timeout|timed out fetching a new connection from the connection pool",
        ),
    ),
    by(
        "SQLAlchemy",
        sure(
            Pool,
            r"(?:queue)?pool limit of size \d+ overflow|PoolTimeout|couldn't get a connection after|ConnectionPool is full|TooManyConnectionsError",
        ),
    ),
    by(
        ".NET",
        sure(
            Pool,
            r"connection pool has been exhausted|prior to obtaining a connection from the pool|WaitQueueFull|the wait queue for acquiring a connection",
        ),
    ),
    by(
        "Ruby",
        sure(
            Pool,
            r"could not obtain a (?:database )?connection from the pool|ConnectionPool::TimeoutError|ActiveRecord::ConnectionTimeoutError|Waited [\d.]+ sec.{0,60}connection",
        ),
    ),
    by(
        "Go",
        sure(
            Pool,
            r"redis: connection pool timeout|connection pool exhausted|conn pool (?:timeout|exhausted)|timed out while checking out a connection from connection pool|gocql: no hosts available in the pool|no available connection in pool",
        ),
    ),
    by(
        "Elixir DBConnection",
        sure(
            Pool,
            r"connection not available and request was dropped from queue|checkout timed? ?out|could not checkout the connection|due to a pool timeout|:pool_timeout",
        ),
    ),
    by("Envoy", sure(Pool, r"reset reason: overflow|upstream_overflow|\b503 UO\b|response_flags.{1,4}UO\b")),
    by("PgBouncer", sure(Pool, r"query_wait_timeout|no more connections allowed")),
    sure(
        Pool,
        r"too many clients already|remaining connection slots are reserved|\btoo many connections\b|ERR max number of clients reached|max_user_connections|too many connections for (?:role|database)|MaxClientsInSessionMode|max client connections reached|ORA-(?:12516|12519|12520|00018|00020)\b|maximum number of sessions",
    ),
    sure(
        Pool,
        r"connection acqui(?:sition|re) (?:has )?timed out|acquir\w* (?:a )?connection.{0,40}(?:timed out|timeout)|connection pool (?:is )?(?:timed out|exhausted|full|depleted)|(?:exhausted|depleted) (?:the )?connection pool|no (?:free|idle|available) connections? (?:in|from) (?:the )?pool|timed out (?:waiting for|while waiting for|acquiring) (?:a |an )?(?:free |available |idle )?connection from (?:the )?(?:connection )?pool",
    ),
];
