//! What the system answered to `connect`, `read` or `write`, in the spelling of each language:
//! `errno` names and numbers (Linux), `strerror` texts (glibc, musl), exception names.

use super::super::LogClass::{Context, Refused, Reset, Timeout, Unreachable};
use super::{Rule, by, likely, none, sure};

/// Lines that hold an error's words and tell of no failed connection.
pub(super) const EXCEPTIONS: &[Rule] = &[
    // MQTT's CONNACK codes: the broker was reached and turned the client away
    none(
        r"connection refused: (?:not authori[sz]ed|bad user ?name|identifier rejected|unacceptable|client identifier)|connection refused, (?:not authori[sz]ed|bad user)",
    ),
    // statements and sessions that ran too long inside a server
    none(
        r"due to (?:statement|lock|idle-in-transaction|idle-session|user|transaction) ?(?:timeout|request)|lock wait timeout|execution timeout expired|maximum execution time|lock request time out|script timed out|cancell?ing statement",
    ),
    // what an HTTP server answered: it was reached
    none(
        r"\b50[234] (?:server error: )?(?:gateway[ -]time-?out|bad gateway|service unavailable)\b.{0,20}(?:for url|$)|status ?(?:code)?[ :=]+50[234]\b",
    ),
    // what a server answered: it was reached
    none(
        r"authentication failed for user|no pg_hba\.conf entry|the database system is (?:starting|shutting|in rec|not yet)|(?:role|database) \x22[^\x22]+\x22 does not exist|access denied for user|\bWRONGPASS\b|\bNOAUTH\b|ACCESS_REFUSED|ORA-01017|login failed for user",
    ),
    // configuration that is written out
    none(
        r"^[\s\x22'-]*[\w.-]*(?:timeout(?:s|_?ms|_?millis|_?sec(?:ond)?s?|_\w+)?|retry[-_.]?on|retry_policy)['\x22]?\s*[:=]\s*[\x22']?(?:\d+ ?(?:ms|s|m|h|sec|seconds)?\b|true|false|[a-z_-]+(?:,[a-z_-]+)+)",
    ),
    none(
        r"(?-i:^# (?:HELP|TYPE) )|^\w[\w:]*\{[^}]*\} [\d.e+-]+(?: \d+)?\s*$|\bretr(?:y|ies|yable|iable)\w*(?:[ _-]?(?:on|codes?|status(?:es)?|errors?))?[=:] ?\[[^\]]*\]",
    ),
    none(r"\btime-?outs? .{0,80}\b(?:set|configured|defaults?|updated|changed) (?:to|as|at)\b"),
    // names of exceptions that are code
    none(
        r"NoClassDefFoundError|ClassNotFoundException|NoSuchMethodError|\bis not defined\b|cannot import name|ModuleNotFoundError|no module named|has no attribute|uninitialized constant|unresolved import",
    ),
    // what was not waited for is no connection
    none(r"waiting for (?:user|input|an? lock|locks?|jobs?|tasks?|workers?|child|children|process\w*|confirmation) "),
    none(
        r"(?-i:(?:Query|Statement|Lock|Session|Script|Transaction|Job|Test|Step|Workflow|Activity)Time[oO]ut(?:Exception|Error))",
    ),
    // the cause stands inside, of one node of several
    by("Java Cassandra 4", sure(Context, r"AllNodesFailedException")),
    // listeners, and health checks that passed
    none(
        r"connection (?:timed? ?out|refused|reset) (?:errors?|count|total)[\x22 ]*[:=] ?0\b|(?:listening on|listen on|started on|serving on) \S+:\d+\s*$",
    ),
];

pub(super) const RULES: &[Rule] = &[
    // refused
    by("Go net", sure(Refused, r"dial (?:tcp|udp|unix)\S* \S+: (?:connect|getsockopt): connection refused")),
    by("Node net", sure(Refused, r"\bconnect ECONNREFUSED\b")),
    by(
        "Java",
        sure(
            Refused,
            r"ConnectException: (?:connection refused|connect: )|finishConnect\(\.\.\) failed: connection refused|connection to \S+ refused",
        ),
    ),
    by("Ruby", sure(Refused, r"Errno::ECONNREFUSED")),
    by("Rust", sure(Refused, r"\(os error 111\)|\bConnectionRefused\b|code: 111\b")),
    by(
        "Python",
        sure(
            Refused,
            r"\[errno 111\]|ConnectionRefusedError|\berror 111 connecting|error=111|returned error 111|KafkaConnectionError: 111",
        ),
    ),
    by("Elixir", sure(Refused, r"[:\s,]econnrefused\b")),
    by(
        ".NET",
        sure(Refused, r"SocketException \((?:111|61)\)|\(10061\)|actively refused|No connection could be made because"),
    ),
    by(
        "Envoy",
        sure(
            Refused,
            r"delayed[_ ]connect[_ ]error:[_ ](?:111|connection refused)|immediate[_ ]connect[_ ]error:[_ ]111|remote[_ ]connection[_ ]failure.{0,60}(?:111|refused)",
        ),
    ),
    by(
        "MySQL client",
        sure(Refused, r"(?:can't|cannot) connect to .{0,120}\((?:111|61)\b|system error: 111|\(errno:? 111"),
    ),
    by("kubectl", sure(Refused, r"the connection to the server \S+ was refused")),
    by("Oracle", sure(Refused, r"ORA-12541|no listener\b")),
    by("ODBC", sure(Refused, r"error code 0x(?:6F|274D)\b")),
    by("NATS", sure(Refused, r"\bCONNECTION_REFUSED\b")),
    sure(
        Refused,
        r"connection (?:was )?refused|\bECONNREFUSED\b|\(111: |errno[:=] ?-?111\b|\berror:? 111\b|connect_?refused|refused (?:the |our )?connection|connection has been refused|destination port unreachable|port unreachable|WSAECONNREFUSED|refused to connect",
    ),
    by("curl", sure(Timeout, r"curl: \(28\)|cURL error 28\b")),
    by(
        "curl",
        likely(Refused, r"failed to connect to \S+ port \d+.{0,40}(?:couldn't|could not|couldn.t) connect to server"),
    ),
    by("Java", likely(Refused, r"HttpHostConnectException|java\.net\.ConnectException\s*(?:$|[,;)\]}])")),
    // unreachable
    by("Java", sure(Unreachable, r"NoRouteToHostException|host unreachable\)|network unreachable\)")),
    by("Rust", sure(Unreachable, r"\(os error (?:113|101|112)\)|\b(?:Host|Network)Unreachable\b")),
    by("Python", sure(Unreachable, r"\[errno (?:113|101|112)\]|\berror (?:113|101|112) connecting|returned error 113")),
    by("Elixir", sure(Unreachable, r"[:\s,]e(?:host|net)unreach\b")),
    by(".NET", sure(Unreachable, r"SocketException \((?:113|101|112)\)")),
    by("Envoy", sure(Unreachable, r"connect[_ ]error:[_ ](?:113|101)\b")),
    by("MySQL client", sure(Unreachable, r"(?:can't|cannot) connect to .{0,120}\((?:113|101)\b")),
    by("Oracle", sure(Unreachable, r"ORA-12543")),
    by("ODBC", sure(Unreachable, r"error code 0x71\b")),
    sure(
        Unreachable,
        r"no route to host|(?:network|host) is unreachable|(?:network|host) unreachable\b|\bE(?:HOST|NET)UNREACH\b|\bEHOSTDOWN\b|\bhost is down\b|\((?:113|101): |errno[:=] ?-?(?:113|101)\b|destination (?:host|net|network) (?:unreachable|prohibited)|packet filtered|communication administratively prohibited|network is down\b|\bENETDOWN\b",
    ),
    likely(
        Unreachable,
        r"connect\S*:? (?:operation not permitted|permission denied)|connect EPERM|connect (?:EACCES|EADDRNOTAVAIL)|connect: cannot assign requested address|connect[^;]{0,80}cannot assign requested address|os error 99\)|connect: invalid argument",
    ),
    // timeout
    by(
        "Go net",
        sure(
            Timeout,
            r"dial (?:tcp|udp)\S*(?: \S+)?: (?:connect: |getsockopt: )?(?:i/o timeout|connection timed out|operation timed out)|i/o timeout",
        ),
    ),
    by(
        "Go net",
        sure(
            Timeout,
            r"request canceled while waiting for connection|net/http: timeout awaiting|http2: timeout awaiting",
        ),
    ),
    by(
        "Node net",
        sure(
            Timeout,
            r"\bconnect ETIMEDOUT\b|UND_ERR_CONNECT_TIMEOUT|ERR_SOCKET_CONNECTION_TIMEOUT|connection terminated due to connection timeout|\bESOCKETTIMEDOUT\b|\bESOCKETTIMEOUT\b|'ETIMEOUT'|failed to connect to \S+ in \d+ ?ms",
        ),
    ),
    by(
        "Java",
        sure(
            Timeout,
            r"(?-i:SocketTimeoutException)|(?-i:ConnectTimeoutException)|(?-i:HttpConnectTimeoutException)|(?-i:ReadTimeoutException)|(?-i:WriteTimeoutException)|ConnectException: (?:connection|operation) timed out|finishConnect\(\.\.\) failed: (?:connection|operation) timed out|failed to connect to \S+ \(port \d+\).{0,60}after \d+ ?ms",
        ),
    ),
    by(
        "Python",
        sure(
            Timeout,
            r"\[errno 110\]|\berror 110 connecting|returned error 110|socket\.timeout|(?-i:(?:Connect|Read)TimeoutError)\b|(?:httpx|httpcore|exceptions)\.(?-i:Connect|Read|Write)Timeout\b|^(?-i:Connect|Read)Timeout:|(?-i:TimeoutError): (?:timed out|\[errno)|ConnectionTimeoutError: |ConnectionTimeout: connection timeout expired|timeout connecting to server|timeout reading from|TCP connection attempt timed out|connection attempt timed out|ConnectTimeoutError",
        ),
    ),
    by(
        "Ruby",
        sure(
            Timeout,
            r"Net::(?:Open|Read|Write)Timeout|Errno::ETIMEDOUT|\bexecution expired\b|Faraday::TimeoutError|HTTP::ConnectTimeoutError|Redis::TimeoutError|PG::ConnectionBad.{0,200}timeout expired",
        ),
    ),
    by(
        "Rust",
        sure(
            Timeout,
            r"\(os error 110\)|kind: TimedOut|TimedOut, |\bConnect, TimedOut\b|code: 110\b|(?:error trying to connect|tcp connect error|client error \(Connect\)).{0,80}(?:timed out|deadline has elapsed)|connect timed out after|error sending request.{0,300}operation timed out",
        ),
    ),
    by(
        "Elixir",
        sure(
            Timeout,
            r"[:\s,]:?etimedout\b|tcp connect \([^)]*\): timeout|\bconnect_timeout\b\W{0,3}(?:$|\})|reason: :(?:connect_)?timeout\b|(?:\{:?error,\s*|inet\],\s*|failed to connect .{0,80}):?timeout\b\W*$|TransportError\) timeout",
        ),
    ),
    by(
        ".NET",
        sure(
            Timeout,
            r"SocketException \((?:110|60)\)|\(10060\)|did not properly respond after a period of time|ConnectTimeout, mc:|connection timeout expired\. |Connection timed out \(\S+:\d+\)|A connection could not be established within the configured ConnectTimeout",
        ),
    ),
    by(
        "Envoy",
        sure(
            Timeout,
            r"connect[_ ]error:[_ ](?:110|connection timed out)|reset reason: connection timeout|upstream_reset_before_response_started\{connection_timeout|Layer4 timeout",
        ),
    ),
    by("gRPC", likely(Timeout, r"failed to connect to remote host: (?:connection )?time(?:out occurred|d out)")),
    by("nginx", sure(Timeout, r"upstream timed out|\((?:110|145|60): ")),
    by(
        "MySQL client",
        sure(
            Timeout,
            r"(?:can't|cannot) connect to .{0,120}(?:\((?:110|60|115)\b|timed out)|system error: 110|\(errno:? 110|initial communication packet'?, system error: 110",
        ),
    ),
    by("libpq", sure(Timeout, r"(?:failed: |error: |\)|^)\s*timeout expired\b")),
    by(
        "PHP",
        sure(
            Timeout,
            r"cURL error 28: (?:connection|failed to connect|operation|ssl connection|connect).{0,80}(?:timed out|timeout)|stream_socket_client\(\).{0,200}timed out",
        ),
    ),
    by(
        "curl",
        sure(
            Timeout,
            r"timeout was reached|curl: \(28\)|connection timed out after \d+|operation (?:timed out|too slow).{0,60}(?:after \d+|bytes)|download timed out",
        ),
    ),
    by("librdkafka", sure(Timeout, r"connection setup timed out|timed out in state CONNECT")),
    by("Oracle", sure(Timeout, r"ORA-(?:12170|12535|12606|12609)|TNS:connect timeout")),
    by("ODBC", sure(Timeout, r"error code 0x(?:6E|274C)\b")),
    sure(
        Timeout,
        r"\bETIMEDOUT\b|connect(?:ion|ing|ed)? (?:attempt )?(?:has )?timed[ -]?out\b|connect timeout error|connect(?:ion)? timed out|connection to \S+ timed out|timed? ?out (?:while )?(?:connecting|dialing|trying to connect)|timed out (?:while )?(?:waiting for|opening|establishing) (?:a |the )?(?:tcp |new )?connection\b|errno[:=] ?-?110\b|\berror:? 110\b|WSAETIMEDOUT|could not connect .{0,120}: (?:connection |operation )?timed out|\bcannot connect to \S+: timed out|\boperation timed out\b|read timed out|HTTP connect timed out|^ncat: timeout|nc: timed out|connecttimeout error|socket timed out|connect: timeout|connect(?:ion)? time-?out (?:to|for|after|on)\b|connection #\d+ timeout after|read timeout reached",
    ),
    // reset
    by(
        "Node net",
        sure(
            Reset,
            r"\b(?:read|write) (?:ECONNRESET|EPIPE|ECONNABORTED)|socket hang up|UND_ERR_SOCKET|other side closed",
        ),
    ),
    by("Ruby", sure(Reset, r"Errno::(?:ECONNRESET|EPIPE|ECONNABORTED)|end of file reached")),
    by(
        "Rust",
        sure(
            Reset,
            r"\(os error (?:104|32|103)\)|kind: (?:ConnectionReset|BrokenPipe|ConnectionAborted)|connection closed before message completed|\bConnectionReset\b",
        ),
    ),
    by(
        "Python",
        sure(
            Reset,
            r"\[errno (?:104|32|103)\]|ConnectionResetError|BrokenPipeError|ConnectionAbortedError|RemoteDisconnected|remote end closed connection without response|ServerDisconnectedError|server disconnected\b|StreamLostError|RemoteProtocolError: Server disconnected|IncompleteRead\(",
        ),
    ),
    by(
        ".NET",
        sure(Reset, r"SocketException \((?:104|32|103)\)|\(1005[34]\)|forcibly closed|the response ended prematurely"),
    ),
    by("Elixir", sure(Reset, r"[:\s,]:?(?:econnreset|epipe|econnaborted)\b|tcp (?:recv|send)[^:]*: closed")),
    by(
        "Java",
        sure(
            Reset,
            r"NoHttpResponseException|failed to respond|connection prematurely closed|PrematureCloseException|software caused connection abort|Network closed for unknown reason|unexpected end of stream on",
        ),
    ),
    by(
        "Envoy",
        sure(
            Reset,
            r"connect[_ ]error:[_ ]104|reset reason: (?:connection termination|remote reset|local reset|protocol error)|upstream_reset_(?:before|after)_response_started\{(?:connection_termination|remote_reset)|\b503 UC\b",
        ),
    ),
    by(
        "MySQL client",
        sure(
            Reset,
            r"(?:mysql|mariadb|redis)? ?server (?:has gone|went) away|lost connection to (?:mysql|mariadb|server)|system error: 104",
        ),
    ),
    by(
        "libpq",
        sure(
            Reset,
            r"server closed the connection unexpectedly|SSL SYSCALL error: (?:EOF|connection reset)|could not receive data from server",
        ),
    ),
    by("curl", sure(Reset, r"empty reply from server|recv failure|curl: \(5[26]\)")),
    by(
        "Go net",
        sure(
            Reset,
            r"(?:get|post|put|patch|delete|head) \\?\x22https?://[^\x22]+\x22: (?:unexpected )?EOF|(?:read|write) tcp \S+->\S+: (?:\w+: )*(?:EOF|broken pipe|connection reset|use of closed)|http2: (?:client connection lost|server sent GOAWAY)|packets\.go:\d+: (?:unexpected )?EOF|error reading (?:from )?server(?: preface)?: EOF",
        ),
    ),
    by("Oracle", sure(Reset, r"ORA-(?:12547|12537|03113|03114|03135|12583)")),
    sure(
        Reset,
        r"connection (?:was |has been )?reset\b|\bECONNRESET\b|reset by (?:remote )?peer|\bbroken pipe\b|\bEPIPE\b|\bECONNABORTED\b|connection (?:was )?aborted|\(104: |errno[:=] ?-?104\b|connection (?:was )?closed (?:unexpectedly|by (?:the )?(?:remote|peer|server|foreign))|connection was forcibly|peer closed connection|closed by remote host|connection closed (?:by server|while reading|in the middle)|connection was closed in the middle|socket closed (?:unexpectedly|abruptly)|unexpectedly closed the connection|premature(?:ly)? (?:close|end of)d?.{0,30}(?:connection|stream|response)",
    ),
    likely(
        Reset,
        r"connection terminated unexpectedly|an I/O error occurred while sending to the backend|driver: bad connection|ConnectionLoss\b|ClosedChannelException|connection lost \(32109\)|transport endpoint is not connected|connection \S+ to \S+ closed|read error on connection|exception \(50[14]\) reason|transport is closing|connection is already closed|connection already closed|use of closed network connection",
    ),
];
