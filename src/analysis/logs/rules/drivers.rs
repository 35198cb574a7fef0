//! What drivers, clients and wait scripts say when they keep the system's answer to themselves:
//! the class is likely, and the line does not prove it.

use super::super::LogClass::{Timeout, Unreachable};
use super::{Rule, by, likely};

pub(super) const RULES: &[Rule] = &[
    // time-outs
    by(
        "MongoDB driver",
        likely(
            Timeout,
            r"server selection (?:timed out|timeout|error)|ServerSelectionTimeout|MongoTimeoutError|timed out after \d+ ?ms while waiting (?:to connect|for a server)|timed out while waiting for a server|selecting a server using|buffering timed out after|no servers found yet|MongoNetworkTimeout",
        ),
    ),
    by(
        "Go context",
        likely(
            Timeout,
            r"context deadline exceeded|DeadlineExceeded|client\.timeout (?:exceeded|or context)|operation was canceled$|context canceled while waiting",
        ),
    ),
    by(
        "gRPC",
        likely(
            Timeout,
            r"failed to connect to remote host: timeout occurred|DEADLINE_EXCEEDED|deadline exceeded|waiting_for_connection|connection attempt timed out before receiving SETTINGS",
        ),
    ),
    by(
        "client-go",
        likely(
            Timeout,
            r"timed out waiting for the condition|failed to sync .{0,40}cache|timed out waiting for .{0,40}cache|failed waiting for .{0,60}(?:cache|informer)|leader election lost|failed to renew lease",
        ),
    ),
    by("Java pgjdbc", likely(Timeout, r"the connection attempt failed\b")),
    by(
        "Kafka",
        likely(
            Timeout,
            r"timed out waiting for a node assignment|not present in metadata after|failed to update metadata after|timed out waiting to send the call|has passed since (?:batch creation|last append)|timeout expired (?:while|before)|local: timed out|KafkaTimeoutError|\[connection\] connection timeout|KafkaJSConnectionError: connection timeout|connection error: connection timeout|request \w+\(.{0,80}\) timed out|socket connection setup timeout|seed broker.{0,80}connection timeout",
        ),
    ),
    by(
        "Cassandra",
        likely(
            Timeout,
            r"NoHostAvailable|OperationTimedOut|no response received from cassandra|all host\(s\) tried for query failed",
        ),
    ),
    by(
        "Rust",
        likely(
            Timeout,
            r"pool timed out while waiting|\bPoolTimedOut\b|deadline has elapsed|\bElapsed\(\(\)\)|request timed out|error trying to connect.{0,40}timed out",
        ),
    ),
    by(
        ".NET",
        likely(
            Timeout,
            r"the operation has timed out|configured HttpClient\.Timeout|the request was canceled due to|exceeded the configured timeout|timeout performing|timeout awaiting response|timeout (?:during|while) (?:reading|connection|connecting|connect)|exception while (?:connecting|reading from stream).{0,80}timeout|the operation was canceled\.$|Timeout expired\. ",
        ),
    ),
    by(
        "Node",
        likely(
            Timeout,
            r"timeout exceeded when trying to connect|timeout of \d+ ?ms exceeded|connection timeout\.?\s*$|ConnectionTimeoutError|HeadersTimeoutError|BodyTimeoutError|UND_ERR_(?:HEADERS|BODY)_TIMEOUT|TimeoutError: (?:Request|Timeout|Connection|Promise|Navigation|Awaiting)|the operation was aborted due to timeout|(?-i:\bTIMEOUT: )\D|handshake inactivity timeout|PROTOCOL_SEQUENCE_TIMEOUT|KnexTimeoutError",
        ),
    ),
    by(
        "Java",
        likely(
            Timeout,
            r"(?-i:HttpTimeoutException)|did not observe any item or terminal signal within|command timed out after|RedisCommandTimeoutException|timed out waiting for (?:a )?(?:connection|response)|timed out waiting for connection while in state|client session timed out|unable to connect to zookeeper server|request timeout(?: to)? \S+|timed out waiting for a response from the server|sockettimeout|AsyncTimeout|login timed? ?out",
        ),
    ),
    by(
        "Python",
        likely(
            Timeout,
            r"(?:^|[\s.(])(?-i:TimeoutError)(?:$|[:(])|asyncio\.exceptions\.TimeoutError|(?:cannot|could not|unable to) connect .{0,160}\[connect call failed|KazooTimeoutError|\bpool timeout\b|(?-i:PoolTimeout)|pymongo\.errors\.(?-i:NetworkTimeout|AutoReconnect).{0,80}timed out",
        ),
    ),
    by("NATS", likely(Timeout, r"\bnats: timeout\b|NatsError: TIMEOUT")),
    by("dockerize", likely(Timeout, r"timeout after \S+ waiting (?:on|for)|timeout .{0,30}waiting for")),
    by(
        "wait-for-it.sh",
        likely(
            Timeout,
            r"timeout occurred after waiting|timeout reached before the port|timed out after \S+ (?:seconds? )?waiting|timed out waiting for \S+|gave up waiting|operation timed out$",
        ),
    ),
    by("pg_isready", likely(Timeout, r"\S+:\d+ - no response|\bno response$|\bno attempt$")),
    by("ODBC", likely(Timeout, r"login timeout expired|\[HYT0[01]\]")),
    by(
        "Envoy",
        likely(
            Timeout,
            r"upstream request timeout|\b504 UT\b|upstream_response_timeout|\b(?:response_flags|flags).{1,4}UT\b|Layer7 timeout",
        ),
    ),
    by("Temporal", likely(Timeout, r"failed reaching server|failed to reach .{0,60}timeout")),
    likely(
        Timeout,
        r"\bnot (?:answering|responding|respond)\b|did not (?:respond|answer|reply)|no (?:answer|reply) from|does not (?:respond|answer)",
    ),
    likely(
        Timeout,
        r"(?:connect(?:ion|ing)?|dial(?:ing)?|reach(?:ing)?|socket|handshake|server|host|database|db|upstream|broker|request|lookup|read|fetch(?:ing)?|call(?:ing)?|ping|rpc|GET|POST|http|query|redis|postgres|mysql|mongo|kafka|rabbitmq|amqp|smtp|ldap|connector)\b.{0,160}\b(?:timed[ -]out|timeouted)\b|\btimed[ -]out\b.{0,120}(?:connect|reach|server|host|upstream|broker|\S+:\d{2,5}\b)|:\d{2,5}: timed out\b",
    ),
    likely(
        Timeout,
        r"(?:error|failed|failure|fatal|exception|cannot|could not|unable|giving up)\b.{0,120}\b(?:connect(?:ion)?|dial|request|response|socket) ?time-?out\b|\b(?:connect(?:ion)?|dial|socket|request) ?time-?out\b.{0,60}(?:error|failed|failure|giving up|retry)|(?:error|err|reason|cause|exception|throwable|health ?check|status)[\x22']?[:=]\s*[\x22']?(?:connect(?:ion)? |request |socket |dial )?time-?out\b[^=:]{0,4}$|connect(?:ion)? time-?out[!.]?$",
    ),
    likely(
        Timeout,
        r"(?-i:(?:^|[\s.(:\[<'\x22])(?:[A-Z]\w*)?Time[oO]ut(?:Exception|Error))\b|\btime-?out (?:for|to|on|at|connecting|contacting|reaching|talking|waiting|while|when)\b.{0,80}[a-z0-9_-]+:\d{2,5}\b",
    ),
    likely(
        Timeout,
        r"\b(?:connack|handshake|hello|login|auth(?:entication)?|ping|keep-?alive|heartbeat|subscribe|rpc|i/o|network|tcp) time-?out\b(?: for| to| from| on| at|:| \S+://|$)|(?:error|err|fail(?:ed|ure)?|exception|fatal|panic|cannot|could not|couldn.t|unable|giving up|exited in)\b.{0,160}(?:timed[ -]out|\btime out)\b",
    ),
    likely(Timeout, r"\bhealth ?check\b.{0,40}\btime(?:d[ -])?out\b\W{0,3}(?:$|\s)"),
    // could not get there
    by(
        "gRPC",
        likely(
            Unreachable,
            r"failed to connect to all addresses|failed to connect to remote host|StatusCode\.UNAVAILABLE|code = Unavailable|14 UNAVAILABLE|UNAVAILABLE: (?:no connection|connection|failed|http/2)|no connection established",
        ),
    ),
    by(
        "Kafka",
        likely(
            Unreachable,
            r"(?:broker|node) may not be available|bootstrap broker \S+ .{0,60}disconnected|NoBrokersAvailable|run out of available brokers|could not be established\. (?:broker|node)|failed to connect to (?:seed )?broker|no available brokers|all brokers (?:are )?down|connect attempt .{0,60}failed|unable to bootstrap from",
        ),
    ),
    by(
        "LDAP",
        likely(
            Unreachable,
            r"can't contact LDAP server|LDAPSocketOpenError|ServerDownError|LDAP server .{0,60}(?:unreachable|down)|CommunicationException: \S+:\d+",
        ),
    ),
    by("NATS", likely(Unreachable, r"no servers available for connection|NoServersError")),
    by(
        ".NET",
        likely(
            Unreachable,
            r"a network-related or instance-specific error|it was not possible to connect to the redis server|UnableToConnect on|could not open a connection to SQL Server|Connection failed, host \S+|unable to connect to the remote server|ConnectFailureException|SocketFailure on|unable to connect to any of the specified mysql hosts",
        ),
    ),
    by(
        "Oracle",
        likely(Unreachable, r"network adapter could not establish|DPY-6005|DPI-1080|ORA-12560|ORA-17(?:002|820|800)"),
    ),
    by(
        "Elasticsearch",
        likely(
            Unreachable,
            r"no living connections|HostUnreachableError|elasticsearch unreachable|none of the configured nodes (?:are|were) available|NoNodeAvailable|cannot connect to elasticsearch",
        ),
    ),
    by(
        "Neo4j",
        likely(
            Unreachable,
            r"ensure the database is running and that there is a working network connection|no routing servers available|could not perform discovery|unable to retrieve routing information",
        ),
    ),
    by(
        "RabbitMQ client",
        likely(
            Unreachable,
            r"TCPConnectionFailed|could not establish tcp connection|none of the specified endpoints were reachable, see",
        ),
    ),
    by(
        "Envoy",
        likely(
            Unreachable,
            r"upstream connect error or disconnect/reset before headers|upstream_reset_before_response_started\{(?:remote_|local_)?connection_failure|\b(?:503|0) U[FR]\b|\b503 UF,URX\b|response_flags.{1,4}U[FR]\b|Layer4 connection problem",
        ),
    ),
    by("Apache httpd", likely(Unreachable, r"attempt to connect to \S+ \(.{0,120}failed")),
    by(
        "SMTP",
        likely(
            Unreachable,
            r"connection could not be established with host|couldn't connect to host, port|SMTPServerDisconnected|SMTPConnectError|failed to connect to (?:smtp|mail) ?server|SMTP connect\(\) failed",
        ),
    ),
    by("OTLP", likely(Unreachable, r"failed to export (?:traces|metrics|logs|spans|batch) to \S+")),
    by("aiohttp", likely(Unreachable, r"ClientConnectorError: cannot connect to host|cannot connect to host \S+")),
    by(
        "Python",
        likely(
            Unreachable,
            r"can.t reach database server|all connection attempts failed|couldn't connect to \S+:\d+|APIConnectionError|EndpointConnectionError|could not connect to the endpoint URL|ConnectError\b|newconnectionerror|failed to establish a new connection",
        ),
    ),
    by(
        "Java",
        likely(
            Unreachable,
            r"ConnectException: failed to connect to|failed to connect to (?:any host|/?\S+/\d)|could not connect to any|ResourceAccessException",
        ),
    ),
    likely(
        Unreachable,
        r"\S+:\d{2,5}\b.{0,40}(?:is |was )?(?:not reachable|unreachable|unavailable|not available|not ready|is down)\b|(?:not reachable|unreachable|not accessible)\b.{0,60}\S+:\d{2,5}\b|\bhost \[?[\w.-]+\]? port \[?\d+\]? (?:is |was )?(?:not (?:available|ready|up|reachable)|unavailable|unreachable)",
    ),
    likely(
        Unreachable,
        r"\bconnection (?:to|with) .{1,100} (?:could not|cannot|can't|couldn.t|failed to) be (?:established|made|opened|created)|\bconnection (?:to|with) .{1,100} was not established",
    ),
    likely(
        Unreachable,
        r"(?:could not|couldn't|couldn.t|cannot|can't|can not|unable to|failed to|failure to|failed|error) (?:\w+ ){0,2}(?:connect|connecting|reach|reaching|dial|dialing|contact|ping|establish\w* (?:a )?(?:\w+ )?connection)(?: (?:to|with))?\b.{0,60}(?:\s|[/@'\x22(`\[])(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:]+\]):\d{2,5}\b",
    ),
];
