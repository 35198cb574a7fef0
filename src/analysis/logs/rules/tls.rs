//! Handshakes that failed after TCP had connected.

use super::super::LogClass::Tls;
use super::{Rule, by, likely, sure};

pub(super) const RULES: &[Rule] = &[
    by(
        "Go net",
        sure(
            Tls,
            r"\bx509: |\btls: (?:failed|first record|handshake|bad|unknown|no |protocol|internal|server|unexpected|received|oversized|certificate|client|private|either)|remote error: tls|http: TLS handshake error|server gave HTTP response to HTTPS client|client sent an HTTP request to an HTTPS server",
        ),
    ),
    by("Go net", likely(Tls, r"TLS handshake timeout")),
    by(
        "Java",
        sure(
            Tls,
            r"SSL(?:Handshake|PeerUnverified|Protocol|Key)?Exception|PKIX path|unable to find valid certification path|no subject alternative (?:names|dns name)|certificate_unknown|NotSslRecordException|received fatal alert|CertificateException|CertPathValidator",
        ),
    ),
    by(
        "Python",
        sure(
            Tls,
            r"\bSSL(?:Cert(?:Verification)?|ZeroReturn|EOF|WantRead)?Error\b|CERTIFICATE_VERIFY_FAILED|\[SSL: [A-Z_]+\]|EOF occurred in violation of protocol",
        ),
    ),
    by(
        "Node tls",
        sure(
            Tls,
            r"\bERR_(?:SSL|TLS)_[A-Z_]+|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_(?:VERIFY_LEAF_SIGNATURE|GET_ISSUER_CERT)|\bCERT_HAS_EXPIRED|CERT_(?:UNTRUSTED|REJECTED|SIGNATURE_FAILURE|NOT_YET_VALID)|unable to verify the first certificate|client network socket disconnected before secure TLS|hostname/ip does not match certificate",
        ),
    ),
    by(
        ".NET",
        sure(
            Tls,
            r"the SSL connection could not be established|remote certificate (?:is invalid|was rejected)|RemoteCertificate(?:NameMismatch|ChainErrors|NotAvailable)",
        ),
    ),
    by("Ruby", sure(Tls, r"OpenSSL::SSL::SSLError|SSL_connect returned=\d")),
    by(
        "curl",
        sure(
            Tls,
            r"\bSSL certificate problem|curl: \((?:35|51|53|54|58|59|60|66|77|80|83|90|91)\)(?: |.{0,200}SSL)|cURL error (?:35|51|58|60|77)\b",
        ),
    ),
    by(
        "Rust",
        sure(
            Tls,
            r"invalid peer certificate|InvalidCertificate|UnknownIssuer|tls handshake eof|AlertReceived|received corrupt message",
        ),
    ),
    by("Erlang", sure(Tls, r"\btls_alert\b|handshake_failure|TLS :?client: in state")),
    by("Envoy", sure(Tls, r"TLS[_ ]error[:|_]|CERTIFICATE_VERIFY_FAILED|Layer6 (?:timeout|invalid response)")),
    by("Oracle", sure(Tls, r"ORA-2(?:8860|8864|8865|9024|9002)\b")),
    sure(
        Tls,
        r"self[- ]signed certificate|certificate (?:verify failed|verification failed|has expired|is not trusted|not trusted|is not yet valid|signed by unknown|unknown authority)|unable to get local issuer certificate|(?:ssl|tls)v?\d* (?:alert|routines)\b|alert (?:handshake failure|unknown ca|bad certificate|protocol version|number \d+)|wrong version number|(?:ssl|tls)[ _-]?(?:handshake|negotiation|accept)\b.{0,30}(?:fail|error|abort)|(?:handshake|negotiat\w+).{0,20}(?:failed|failure|error).{0,40}\b(?:ssl|tls)|failed .{0,20}(?:ssl|tls) handshake|SSL_do_handshake\(\) failed|error during ssl handshake|server does not support SSL|SSL is not enabled on the server|does not support secure connection|SSL error: |SSL_ERROR_SSL|ssl connect error|unsupported protocol version|no protocols available",
    ),
    likely(Tls, r"SSL_ERROR_SYSCALL|SSL SYSCALL error: (?:Success|Undefined)|unexpected eof while reading"),
];
