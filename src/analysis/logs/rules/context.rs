//! Lines that wrap an error or lead up to one: something could not be connected, and another line
//! says why, or none does.

use super::super::LogClass::Context;
use super::{Rule, by, likely, sure};

pub(super) const RULES: &[Rule] = &[
    by(
        "Node ioredis",
        sure(
            Context,
            r"MaxRetriesPerRequestError: |ClusterAllFailedError|stream isn't writeable|(?:error|ioredis).{0,40}connection is closed\.",
        ),
    ),
    by(
        "Node",
        sure(
            Context,
            r"TypeError: fetch failed|SequelizeConnection\w*Error|SequelizeHost\w*Error|MongoNetworkError|KafkaJSNumberOfRetriesExceeded|KafkaJSConnectionError|AggregateError \[|FetchError: request to|PrismaClientInitializationError",
        ),
    ),
    by(
        "Java HikariCP",
        sure(
            Context,
            r"exception during pool initialization|failed to initialize pool|HikariPool-\S+ - (?:failed|cannot|exception)|PoolInitializationException",
        ),
    ),
    by(
        "Java MySQL Connector/J",
        sure(
            Context,
            r"communications link failure|the last packet sent successfully to the server|the driver has not received any packets from the server|CommunicationsException|could not create connection to database server",
        ),
    ),
    by(
        "Java",
        sure(
            Context,
            r"unable to connect to redis|RedisConnection(?:Failure)?Exception|cannot get jedis connection|JedisConnectionException|failed to create socket|CannotGetJdbcConnection|could not open JDBC connection|unable to (?:obtain|acquire) (?:jdbc |isolated )?connection|cannot create PoolableConnectionFactory|JDBCConnectionException|MongoSocket\w*Exception|exception in monitor thread|AllNodesFailedException|could not reach any contact point|unable to open JDBC connection|AmqpConnectException|AmqpIOException|WebClientRequestException|RetryableException|I/O error on \w+ request|FeignException.{0,20}Retry|StatusRuntimeException: UNAVAILABLE|BootstrapMethodError|KafkaException: failed to construct|FlywaySqlException|HttpHostConnectException|SQLTransientConnectionException|SQLNonTransientConnectionException|SQLRecoverableException|IJ031084|IJ000453|unable to get managed connection",
        ),
    ),
    by(
        "pika",
        sure(
            Context,
            r"AMQPConnectionError|AMQPConnectorException|AMQPConnectionWorkflowFailed|ProbableAuthenticationError",
        ),
    ),
    by(
        "Python",
        sure(
            Context,
            r"max retries exceeded with url|OperationalError\) (?:connection|could not)|kombu\.exceptions\.OperationalError|sqlalchemy\.exc\.OperationalError|ServiceUnavailable: |redis\.exceptions\.ConnectionError|requests\.exceptions\.ConnectionError|aiokafka.{0,40}KafkaConnectionError|ConnectionError: \(|after connection broken by",
        ),
    ),
    by(
        ".NET",
        sure(
            Context,
            r"BrokerUnreachableException|none of the specified endpoints were reachable|RedisConnectionException|NpgsqlException.{0,40}failed to connect|exception while (?:connecting|opening)|MongoConnectionException|HttpRequestException|an error occurred while sending the request|an error occurred using the connection to database|no connection is (?:active/)?available to service this operation",
        ),
    ),
    by(
        "Rust",
        sure(
            Context,
            r"error sending request(?: for url)?|error trying to connect|client error \(Connect\)|tcp connect error|failed to connect to database|error communicating with database|transport error$|hyper::Error\(Connect|hyper_util::client::legacy::Error\(Connect",
        ),
    ),
    by(
        "Ruby",
        sure(
            Context,
            r"Redis::(?:CannotConnect|BaseConnection)Error|PG::ConnectionBad|Mysql2::Error::ConnectionError|ActiveRecord::(?:ConnectionNotEstablished|NoDatabaseError|DatabaseConnectionError)|Faraday::ConnectionFailed|Bunny::\w*ConnectionFailed|failed to open tcp connection|Mongo::Error::NoServerAvailable",
        ),
    ),
    by(
        "PHP",
        sure(
            Context,
            r"SQLSTATE\[HY000\] \[200[236]\]|SQLSTATE\[08006\]|RedisException|Predis\\+Connection\\+ConnectionException|AMQPConnectionException|unable to connect to (?:tcp|ssl|tls)://|cURL error 7\b",
        ),
    ),
    by(
        "Elixir DBConnection",
        sure(Context, r"DBConnection\.ConnectionError|failed_connect\b|Mint\.TransportError|HTTPoison\.Error"),
    ),
    by(
        "librdkafka",
        sure(Context, r"\d+/\d+ brokers are down|broker transport failure|_TRANSPORT\b|_ALL_BROKERS_DOWN"),
    ),
    by(
        "Istio",
        likely(
            Context,
            r"envoy proxy is not ready|is istiod running|no healthy upstream|\b(?:503|0) UH\b|no_healthy_upstream|has no server available|(?:all|no live) upstreams? (?:are )?(?:unavailable|down)|no live upstreams|failed to make connection to backend|service in fail-fast",
        ),
    ),
    by("libpq", sure(Context, r"is the server running (?:on|locally)|TCP/IP connections on port \d+")),
    by(
        "wait-for-it.sh",
        sure(
            Context,
            r"wait-for-it(?:\.sh)?: waiting|\bwaiting (?:\d+ seconds |up to \S+ )?(?:for|on|until)(?: \w+){0,4}:? \(?(?:tcp://|https?://|[a-z+]+://)?(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:]+\]):\d{2,5}\b",
        ),
    ),
    by(
        "wait script",
        sure(
            Context,
            r"(?:is|are) (?:unavailable|not ready|not available|not up|unreachable|not reachable|still (?:down|unavailable|starting))(?: yet)?[ ,.:;-]*(?:sleeping|waiting|retrying|will retry|trying again)|waiting for (?:the )?(?:database|db|postgres(?:ql)?|mysql|mariadb|redis|rabbitmq|kafka|mongo(?:db)?|elasticsearch|zookeeper|cassandra|broker|backend|api|upstream|dependenc\w+)(?: server| service| connection)?(?: to (?:be|become|start|come|accept)\b.{0,40}|\.{2,}| *\u{2026})|waiting for (?:dependenc(?:y|ies)|external service|upstream)\b|waiting for .{1,60} to (?:be|become|get) (?:reachable|available|resolvable|ready|up|completed?|healthy)\b|waiting for (?:service|pods?|jobs?|deployments?|statefulsets?|endpoints?|host)\b.{0,80}(?:\.{2,}|with label|in namespace|-l)|\bhost \[?[\w.-]+(?::\d+|\]? port \[?\d+)\]? (?:is )?not yet (?:available|ready|up|reachable)|\bis not up yet\b",
        ),
    ),
    by(
        "kubectl",
        sure(
            Context,
            r"unable to connect to the server|couldn't get (?:current server|resource list)|error retrieving resource lock|failed to (?:list|watch) \*?v\d",
        ),
    ),
    by(
        "Vault",
        sure(Context, r"no known consul servers|no cluster leader|error fetching secret|failed to .{0,30}vault"),
    ),
    likely(
        Context,
        r"connection #\d+ to \S+:\d+ failed|(?:could not|couldn't|couldn.t|cannot|can't|can not|unable to|failed to|failure to|failed|not able to|error|problem|trouble|failure) (?:\w+ ){0,2}(?:connect(?:ing)?|reach(?:ing)?|dial(?:ing)?|contact(?:ing)?|establish(?:ing)?|open(?:ing)? (?:a |the )?(?:\w+ )?connection)\b|connection (?:attempt )?(?:to .{1,80} )?(?:failed|failure|error)\b|\b(?:database|db|redis|postgres(?:ql)?|mysql|mariadb|mongo(?:db)?|kafka|rabbitmq|amqp|elasticsearch|ldap|smtp|broker|cache|upstream|backend) (?:server )?(?:is )?(?:unreachable|unavailable|not reachable|not available)|\b(?:not reachable|unreachable)\b.{0,20}(?:aborting|giving up|exit)|\bnot reachable\b|no upstream connections available|connect to server at .{1,80} failed|connection to redis is closed|(?:giving up|gave up) (?:on )?connect",
    ),
];
