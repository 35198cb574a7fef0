//! Names that were not resolved: no answer, an answer that there is no such name, an answer of
//! failure. `getaddrinfo`'s messages are those of glibc, musl and macOS.

use super::super::LogClass::{DnsNxdomain, DnsServfail, DnsTimeout};
use super::{Rule, by, likely, sure};

pub(super) const RULES: &[Rule] = &[
    // failure
    by("Go net", sure(DnsServfail, r"lookup \S+?(?: on \S+)?: (?:server misbehaving|cannot unmarshal DNS)")),
    by(
        "Go net",
        likely(
            DnsServfail,
            r"lookup \S+(?: on \S+)?: (?:(?:dial|read|write) udp \S+: (?:\w+: )*connection refused|device or resource busy)",
        ),
    ),
    by("Node dns", sure(DnsServfail, r"\bquery[a-z]* (?:ESERVFAIL|EREFUSED|EBADRESP|ECONNREFUSED)")),
    sure(
        DnsServfail,
        r"\bE?SERVFAIL\b|non-recoverable failure in name resolution|dns server returned general failure|dns name resolution returned a server failure|response code SERVFAIL|no servers could answer",
    ),
    by("nginx", sure(DnsServfail, r"could not be resolved \([125]: ")),
    // no answer
    by(
        "Go net",
        sure(DnsTimeout, r"lookup \S+?(?: on \S+)?: .*?(?:i/o timeout|timed out|temporary failure|try again)"),
    ),
    by(
        "Go net",
        likely(DnsTimeout, r"lookup \S+?(?: on \S+)?: .*?(?:deadline exceeded|was canceled|context canceled)"),
    ),
    by("Go resolver", sure(DnsTimeout, r"(?:dial|read|write) (?:udp|tcp)[46]? \S*:53: .*?(?:timeout|timed out)")),
    sure(
        DnsTimeout,
        r"temporary failure (?:in name resolution|resolving)|\bEAI_AGAIN\b|host not found, try again|\[errno -3\]|\berror -3 connecting|gaierror.{0,3}\(-3,|getaddrinfo\b.{0,60}(?:try again|ETIMEDOUT|timed out)|(?:address information|name lookup|resolver?|resolution|error|to address): try again",
    ),
    by(
        ".NET",
        sure(
            DnsTimeout,
            r"resource temporarily unavailable \([^()\s]+:\d+\)|SocketException \((?:11|0*1, 0xFFFDFFFE)\)|SocketException.{0,40}resource temporarily unavailable",
        ),
    ),
    by("curl", sure(DnsTimeout, r"\bresolving timed out|name lookup timed out")),
    sure(
        DnsTimeout,
        r"timeout while contacting dns servers|could not contact dns servers|no servers could be reached|communications error to \S+#\d+: timed out|LifetimeTimeout|resolution lifetime expired|the dns (?:operation|query) timed out|DnsNameResolverTimeoutException|query '[^']*' via \w+ timed out|\bquery[a-z]* ETIME(?:D)?OUT|could not be resolved \((?:110|60): |Resolv::ResolvTimeout|dns timeout status|name resolution (?:has )?(?:timed out|timeout)|dns: (?:request|query|exchange|transient error).{0,40}(?:timed out|timeout|try again)",
    ),
    sure(DnsTimeout, r"\b(?:dns|resolv(?:e|er|ing)|resolution)\b[^.;=]{0,60}\btimed out"),
    by("MySQL client", sure(DnsTimeout, r"unknown (?:mysql|mariadb) server host .{1,255}?\((?:-3|2: temp)")),
    by("apk", likely(DnsTimeout, r"temporary error \(try again later\)")),
    // no such name
    by("Rust", likely(DnsNxdomain, r"failed to lookup address information")),
    by("Go net", sure(DnsNxdomain, r"lookup \S+?(?: on \S+)?: no such host")),
    sure(
        DnsNxdomain,
        r"\bENOTFOUND\b|name or service not known|name does not resolve|nodename nor servname|no address associated with (?:host)?name|no such host|non-existing domain|non-existent domain|\bERROR_NXDOMAIN\b|[:,] ?:?nxdomain\b|\(nxdomain\)|can't find \S+: NXDOMAIN|dns query name does not exist|domain name not found|query failed with NXDOMAIN|response code NXDOMAIN|dns nx status|\[errno -[25]\]|\berror -[25] connecting|could not be resolved \(3: |dns: name does not exist|no records? found for query|dns_probe_finished_nxdomain|Resolv::ResolvError|could not resolve hostname \S+: (?:unknown|no)",
    ),
    by("MySQL client", sure(DnsNxdomain, r"unknown (?:mysql|mariadb) server host .{1,255}?\(-[25]\)")),
    likely(
        DnsNxdomain,
        r"(?:cannot|can't|could not|couldn't|unable to|failed to|failure to|error) (?:resolv(?:e|ing)|look(?:ing)? ?up) (?:the )?(?:dns |host ?|host)?(?:name |address |domain |for )*['\x22`]?[a-z0-9_-]+(?:\.[a-z0-9_-]+)+\.?['\x22`]?(?:$|[\s,.;!)]|:\d|: )",
    ),
    by("Node dns", likely(DnsNxdomain, r"\bquery[a-z]* (?:ENODATA|ENONAME)")),
    by(
        "Java",
        likely(
            DnsNxdomain,
            r"UnknownHostException|UnresolvedAddressException|(?:netty.{0,40})?failed to resolve '[^']+'",
        ),
    ),
    by("MySQL client", likely(DnsNxdomain, r"unknown (?:mysql|mariadb) server host")),
    by("busybox", likely(DnsNxdomain, r"\bbad address '[^']")),
    by("nginx", likely(DnsNxdomain, r"host not found in (?:upstream|resolver)|no live dns")),
    by("haproxy", likely(DnsNxdomain, r"could not resolve address '|no ip for server")),
    by(
        "gRPC",
        likely(
            DnsNxdomain,
            r"unable to resolve host \S|dns resolution failed for|name resolution failed for target|name resolver error: produced zero addresses|c-ares status is not ARES_SUCCESS",
        ),
    ),
    by(
        "Kafka",
        likely(
            DnsNxdomain,
            r"couldn't resolve server|no resolvable bootstrap urls|dns lookup failed for|host resolution failure|failed to resolve '[^']+:\d+'",
        ),
    ),
    by("ClickHouse", likely(DnsNxdomain, r"not found address of host")),
    by("Erlang", sure(DnsNxdomain, r"reason[:=,\s]+:?nxdomain|\{:?error, ?:?nxdomain\}|\bunknown_host\b")),
    likely(
        DnsNxdomain,
        r"(?:could not|couldn't|couldn.t|cannot|can't|can not|unable to|failed to|failure to|error) (?:resolve|resolving|look ?up|translate)(?: the)?(?: remote| server| proxy)? (?:host|hostname|host ?name|address|domain|dns|name|ip|server|broker|endpoint|fqdn)\b",
    ),
    likely(
        DnsNxdomain,
        r"(?:could not|couldn't|couldn.t|cannot|can't|unable to|failed to) resolve:? ['\x22`]?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*:\d{2,5}\b|could not be resolved to an ip|^(?:e: |err:\S* |w: )?\s*could not resolve '[a-z0-9-]+(?:\.[a-z0-9-]+)+'",
    ),
    likely(
        DnsNxdomain,
        r"\bunknown host\b|\bhost not found\b|\bdns error\b|\bdns (?:lookup|resolution) (?:failed|failure|error)|name resolution (?:failed|failure|error)|getaddrinfo(?:\(\d\))? (?:failed|error)|NameResolutionError|unable to connect \(lookup error|\(SocketError\)\)?$|php_network_getaddresses|server name not found|gethostbyname.{0,40}fail|host .{0,80}could not be found|ORA-12545|dns_resolution_failure",
    ),
];
