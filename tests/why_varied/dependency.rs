//! What a program may depend on, how it is told where that is, and what its driver says when it fails.
//!
//! `{host}` is the name as it is dialled, `{ip}` the Service's address, `{port}` the port that is dialled.

/// A kind of dependency.
pub struct Kind {
    /// Usual name of its Service.
    pub names: &'static [&'static str],
    /// Port of its Service, and ports that its pods may listen on.
    pub ports: &'static [(u16, u16)],
    /// A variable with a URL or a connection string.
    pub url: (&'static str, &'static str),
    /// Variables with host and port.
    pub pair: (&'static str, &'static str),
    /// Nothing came back.
    pub timeout: &'static [&'static str],
    /// Nobody listens.
    pub refused: &'static [&'static str],
    /// There is no such name.
    pub nxdomain: &'static [&'static str],
    /// No name server answered.
    pub dns: &'static [&'static str],
    /// The server turned the credentials down.
    pub auth: &'static [&'static str],
}

/// Kinds.
pub const KINDS: &[Kind] = &[
    Kind {
        names: &["postgres", "pg", "orders-db", "database"],
        ports: &[(5432, 5432), (5432, 6432)],
        url: ("DATABASE_URL", "postgres://app:pl4nted@{host}:{port}/app?sslmode=disable"),
        pair: ("PGHOST", "PGPORT"),
        timeout: &[
            "psycopg2.OperationalError: connection to server at \"{host}\" ({ip}), port {port} failed: Connection timed out\n\tIs the server running on that host and accepting TCP/IP connections?",
            "failed to connect to `host={host} user=app database=app`: dial error (timeout: dial tcp {ip}:{port}: connect: connection timed out)",
            "org.postgresql.util.PSQLException: The connection attempt failed.\n\tat org.postgresql.core.v3.ConnectionFactoryImpl.openConnectionImpl(ConnectionFactoryImpl.java:354)\nCaused by: java.net.SocketTimeoutException: Connect timed out",
            "Error: connect ETIMEDOUT {ip}:{port}\n    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1555:16)",
            "Npgsql.NpgsqlException (0x80004005): Failed to connect to {ip}:{port}\n ---> System.TimeoutException: Timeout during connection attempt",
            "asyncio.exceptions.TimeoutError\nERROR:    Application startup failed. Exiting.",
            "{\"level\":\"fatal\",\"ts\":1795255740.1,\"msg\":\"database\",\"error\":\"dial tcp {ip}:{port}: i/o timeout\"}",
        ],
        refused: &[
            "psycopg2.OperationalError: connection to server at \"{host}\" ({ip}), port {port} failed: Connection refused",
            "org.postgresql.util.PSQLException: Connection to {host}:{port} refused. Check that the hostname and port are correct.",
            "panic: dial tcp {ip}:{port}: connect: connection refused",
        ],
        nxdomain: &[
            "psycopg2.OperationalError: could not translate host name \"{host}\" to address: Name or service not known",
            "panic: failed to connect: dial tcp: lookup {host} on 10.30.0.10:53: no such host",
        ],
        dns: &[
            "psycopg2.OperationalError: could not translate host name \"{host}\" to address: Temporary failure in name resolution",
            "panic: dial tcp: lookup {host} on 10.30.0.10:53: read udp 10.20.0.11:41234->10.30.0.10:53: i/o timeout",
            "Error: getaddrinfo EAI_AGAIN {host}",
        ],
        auth: &["FATAL:  password authentication failed for user \"app\""],
    },
    Kind {
        names: &["mysql", "mariadb", "shop-db"],
        ports: &[(3306, 3306)],
        url: ("DB_DSN", "app:pl4nted@tcp({host}:{port})/shop?parseTime=true"),
        pair: ("MYSQL_HOST", "MYSQL_PORT"),
        timeout: &[
            "Error: connect ETIMEDOUT\n    at Connection._handleTimeoutError (/app/node_modules/mysql2/lib/connection.js:205:17)",
            "pymysql.err.OperationalError: (2003, \"Can't connect to MySQL server on '{host}' (timed out)\")",
            "ERROR 2003 (HY000): Can't connect to MySQL server on '{host}:{port}' (110)",
            "SQLSTATE[HY000] [2002] Connection timed out (Connection: mysql, SQL: select 1)",
        ],
        refused: &[
            "pymysql.err.OperationalError: (2003, \"Can't connect to MySQL server on '{host}' ([Errno 111] Connection refused)\")",
        ],
        nxdomain: &["MySQLdb.OperationalError: (2005, \"Unknown MySQL server host '{host}' (-2)\")"],
        dns: &["MySQLdb.OperationalError: (2005, \"Unknown MySQL server host '{host}' (-3)\")"],
        auth: &["ERROR 1045 (28000): Access denied for user 'app'@'10.20.0.11' (using password: YES)"],
    },
    Kind {
        names: &["redis", "cache", "sessions"],
        ports: &[(6379, 6379), (6379, 6380)],
        url: ("REDIS_URL", "redis://:pl4nted@{host}:{port}/0"),
        pair: ("REDIS_HOST", "REDIS_PORT"),
        timeout: &[
            "redis.exceptions.ConnectionError: Error 110 connecting to {host}:{port}. Connection timed out.",
            "redis.exceptions.TimeoutError: Timeout connecting to server",
            "[ioredis] Unhandled error event: Error: connect ETIMEDOUT",
            "io.lettuce.core.RedisConnectionException: Unable to connect to {host}/<unresolved>:{port}\nCaused by: io.netty.channel.ConnectTimeoutException: connection timed out after 10000 ms: {host}/{ip}:{port}",
            "Redis::CannotConnectError: Timed out connecting to Redis on {host}:{port}",
        ],
        refused: &["redis.exceptions.ConnectionError: Error 111 connecting to {host}:{port}. Connection refused."],
        nxdomain: &[
            "redis.exceptions.ConnectionError: Error -2 connecting to {host}:{port}. Name or service not known.",
        ],
        dns: &[
            "redis.exceptions.ConnectionError: Error -3 connecting to {host}:{port}. Temporary failure in name resolution.",
            "panic: dial tcp: lookup {host}: i/o timeout",
        ],
        auth: &["redis.exceptions.AuthenticationError: WRONGPASS invalid username-password pair or user is disabled."],
    },
    Kind {
        names: &["kafka", "events"],
        ports: &[(9092, 9092)],
        url: ("KAFKA_BOOTSTRAP_SERVERS", "{host}:{port}"),
        pair: ("KAFKA_HOST", "KAFKA_PORT"),
        timeout: &[
            "{\"level\":\"ERROR\",\"logger\":\"kafkajs\",\"message\":\"[Connection] Connection timeout\",\"broker\":\"{host}:{port}\",\"clientId\":\"app\"}",
            "%3|1795255740.1|FAIL|rdkafka#producer-1| [thrd:{host}:{port}/bootstrap]: {host}:{port}/bootstrap: Connect to ipv4#{ip}:{port} failed: Connection timed out (after 127003ms in state CONNECT)",
            "org.apache.kafka.common.errors.TimeoutException: Timed out waiting for a node assignment. Call: describeTopics",
        ],
        refused: &[
            "%3|1795255740.1|FAIL|rdkafka#producer-1| [thrd:{host}:{port}/bootstrap]: {host}:{port}/bootstrap: Connect to ipv4#{ip}:{port} failed: Connection refused (after 0ms in state CONNECT)",
        ],
        nxdomain: &[
            "%3|1795255740.1|FAIL|rdkafka#producer-1| [thrd:{host}:{port}/bootstrap]: {host}:{port}/bootstrap: Failed to resolve '{host}:{port}': Name or service not known",
        ],
        dns: &[
            "%3|1795255740.1|FAIL|rdkafka#producer-1| [thrd:{host}:{port}/bootstrap]: {host}:{port}/bootstrap: Failed to resolve '{host}:{port}': Temporary failure in name resolution",
        ],
        auth: &[
            "org.apache.kafka.common.errors.SaslAuthenticationException: Authentication failed during authentication due to invalid credentials with SASL mechanism SCRAM-SHA-512",
        ],
    },
    Kind {
        names: &["mongo", "catalog-db"],
        ports: &[(27017, 27017)],
        url: ("MONGODB_URI", "mongodb://app:pl4nted@{host}:{port}/app"),
        pair: ("MONGO_HOST", "MONGO_PORT"),
        timeout: &[
            "MongooseServerSelectionError: Server selection timed out after 30000 ms",
            "pymongo.errors.ServerSelectionTimeoutError: {host}:{port}: timed out, Timeout: 30s",
            "server selection error: server selection timeout, current topology: { Type: Single, Servers: [{ Addr: {host}:{port}, Type: Unknown, Last error: dial tcp {ip}:{port}: i/o timeout }, ] }",
        ],
        refused: &["MongooseServerSelectionError: connect ECONNREFUSED {ip}:{port}"],
        nxdomain: &["MongoServerSelectionError: getaddrinfo ENOTFOUND {host}"],
        dns: &["MongoServerSelectionError: getaddrinfo EAI_AGAIN {host}"],
        auth: &["MongoServerError: Authentication failed."],
    },
    Kind {
        names: &["rabbitmq", "queue"],
        ports: &[(5672, 5672)],
        url: ("AMQP_URL", "amqp://guest:pl4nted@{host}:{port}/"),
        pair: ("RABBITMQ_HOST", "RABBITMQ_PORT"),
        timeout: &[
            "[2026-11-21 10:09:00,078: ERROR/MainProcess] consumer: Cannot connect to amqp://guest:**@{host}:{port}//: timed out.",
            "panic: Failed to connect to RabbitMQ: dial tcp {ip}:{port}: i/o timeout",
        ],
        refused: &[
            "[2026-11-21 10:09:00,078: ERROR/MainProcess] consumer: Cannot connect to amqp://guest:**@{host}:{port}//: [Errno 111] Connection refused.",
        ],
        nxdomain: &[
            "[2026-11-21 10:09:00,078: ERROR/MainProcess] consumer: Cannot connect to amqp://guest:**@{host}:{port}//: [Errno -2] Name or service not known.",
        ],
        dns: &[
            "[2026-11-21 10:09:00,078: ERROR/MainProcess] consumer: Cannot connect to amqp://guest:**@{host}:{port}//: [Errno -3] Temporary failure in name resolution.",
        ],
        auth: &[
            "amqp.exceptions.AccessRefused: (0, 0): (403) ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.",
        ],
    },
    Kind {
        names: &["inventory", "auth-api", "flags", "pricing"],
        ports: &[(80, 8080), (8080, 8080), (80, 3000)],
        url: ("UPSTREAM_URL", "http://{host}:{port}/v1"),
        pair: ("UPSTREAM_HOST", "UPSTREAM_PORT"),
        timeout: &[
            "requests.exceptions.ConnectTimeout: HTTPConnectionPool(host='{host}', port={port}): Max retries exceeded with url: /v1 (Caused by ConnectTimeoutError(<urllib3.connection.HTTPConnection object at 0x7f>, 'Connection to {host} timed out. (connect timeout=10)'))",
            "panic: Get \"http://{host}:{port}/v1\": dial tcp {ip}:{port}: i/o timeout",
            "TypeError: fetch failed\n    at node:internal/deps/undici/undici:13178:13 {\n  [cause]: ConnectTimeoutError: Connect Timeout Error (attempted address: {host}:{port}, timeout: 10000ms)\n      at onConnectTimeout (node:internal/deps/undici/undici:2331:28) {\n    code: 'UND_ERR_CONNECT_TIMEOUT'\n  }\n}",
            "curl: (28) Failed to connect to {host} port {port} after 130012 ms: Couldn't connect to server",
            "System.Net.Http.HttpRequestException: Connection timed out ({host}:{port})\n ---> System.Net.Sockets.SocketException (110): Connection timed out",
        ],
        refused: &[
            "panic: Get \"http://{host}:{port}/v1\": dial tcp {ip}:{port}: connect: connection refused",
            "curl: (7) Failed to connect to {host} port {port} after 1 ms: Connection refused",
        ],
        nxdomain: &[
            "Error: getaddrinfo ENOTFOUND {host}",
            "panic: Get \"http://{host}:{port}/v1\": dial tcp: lookup {host} on 10.30.0.10:53: no such host",
        ],
        dns: &[
            "requests.exceptions.ConnectionError: HTTPConnectionPool(host='{host}', port={port}): Max retries exceeded with url: /v1 (Caused by NameResolutionError(\"<urllib3.connection.HTTPConnection object at 0x7f>: Failed to resolve '{host}' ([Errno -3] Temporary failure in name resolution)\"))",
            "curl: (28) Resolving timed out after 5000 milliseconds",
        ],
        auth: &["requests.exceptions.HTTPError: 401 Client Error: Unauthorized for url: http://{host}:{port}/v1"],
    },
];
