//! The log classifier against real lines: the shared table, our own table of the same families,
//! lines that are no errors, lines that belong together, and the logs of real pods.

use std::fmt::Write as _;
use std::path::PathBuf;

use netcheck::analysis::logs::{EvidenceKind, Limits, LogClass, LogError, Scanner, evidence, read, scan, scrub};
use proptest::prelude::*;

fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("NETCHECK_SHARED").map_or_else(|| PathBuf::from("../shared"), PathBuf::from);
    let path = root.join(path);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {} is not there", path.display());
    None
}

/// One row of a table: the classes any of which is right, whether the line alone settles it, the
/// address, and the line.
struct Row {
    classes: Vec<String>,
    certain: bool,
    host: Option<String>,
    port: Option<u16>,
    /// The address is found by another pattern of the tail, and not written down.
    tail: bool,
    line: String,
}

fn rows(table: &str, line_column: usize) -> Vec<Row> {
    table
        .lines()
        .skip(1)
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            let class = cells[0];
            let certain = !class.ends_with('?');
            let tail = class.contains(" by ");
            let class = class.trim_end_matches('?').split(" by ").next().unwrap_or_default();
            let class = if class.ends_with(" line") { "context" } else { class };
            let some = |cell: &str| (!cell.is_empty()).then(|| cell.to_owned());
            Row {
                classes: class.split('/').map(str::to_owned).collect(),
                certain,
                host: some(cells[1]),
                port: cells[2].parse().ok(),
                tail,
                line: cells[line_column].replace("\\t", "\t"),
            }
        })
        .collect()
}

/// What is wrong with the errors found in one row's line; empty if nothing.
fn judge(row: &Row) -> String {
    let errors = scan(&row.line);
    let mut wrong = String::new();
    if errors.len() != 1 {
        let _ = writeln!(wrong, "{} errors in: {}", errors.len(), row.line);
        return wrong;
    }
    let error = &errors[0];
    let same_address = error.host == row.host && error.port == row.port;
    if !row.classes.iter().any(|class| class == error.class.as_str())
        || error.certain != row.certain
        || !(same_address || row.tail && row.host.is_none())
    {
        let _ = writeln!(
            wrong,
            "got {}{} {:?} {:?}, want {}{} {:?} {:?}: {}",
            error.class,
            if error.certain { "" } else { "?" },
            error.host,
            error.port,
            row.classes.join("/"),
            if row.certain { "" } else { "?" },
            row.host,
            row.port,
            row.line
        );
    }
    wrong
}

fn check(rows: &[Row]) {
    let wrong: String = rows.iter().map(judge).collect();
    assert!(wrong.is_empty(), "of {} lines:\n{wrong}", rows.len());
}

#[test]
fn lines_of_the_shared_table() {
    let Some(path) = shared("crash/log-lines.tsv") else {
        return;
    };
    let table = std::fs::read_to_string(path).expect("the table is readable");
    let rows = rows(&table, 4);
    assert!(rows.len() > 80, "{}", rows.len());
    check(&rows);
}

#[test]
fn lines_of_our_own_table() {
    let mut all = rows(include_str!("data/log-lines-more.tsv"), 3);
    // Written down with the answer first, before the program was asked: wrappers, drivers and languages as they came to mind.
    all.extend(rows(include_str!("data/log-lines-field.tsv"), 3));
    assert!(all.len() > 1000, "{}", all.len());
    check(&all);
}

fn only(text: &str, class: LogClass) -> LogError {
    let errors = scan(text);
    let found: Vec<&LogError> = errors.iter().filter(|error| error.class != LogClass::Context).collect();
    assert_eq!(found.len(), 1, "{errors:#?}");
    assert_eq!(found[0].class, class, "{errors:#?}");
    found[0].clone()
}

fn address(error: &LogError) -> (Option<&str>, Option<u16>) {
    (error.host.as_deref(), error.port)
}

#[test]
fn libpq_three_lines_are_one_error() {
    let error = only(
        "psql: could not connect to server: Connection timed out\n\tIs the server running on host \"db.example\" (34.246.133.146) and accepting\n\tTCP/IP connections on port 5432?\n",
        LogClass::Timeout,
    );
    assert_eq!(address(&error), (Some("db.example"), Some(5432)));
    assert_eq!(error.line_number, 1);
}

#[test]
fn node_error_object_lends_its_address() {
    let error = only(
        "Error: connect ETIMEDOUT\n    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1555:16) {\n  errno: -110,\n  code: 'ETIMEDOUT',\n  syscall: 'connect',\n  address: '10.0.0.1',\n  port: 5432\n}\n",
        LogClass::Timeout,
    );
    assert_eq!(address(&error), (Some("10.0.0.1"), Some(5432)));
    assert!(error.line.starts_with("Error: connect"));
}

#[test]
fn aggregate_error_names_every_address_once() {
    let errors = scan(
        "AggregateError [ECONNREFUSED]: \n    at internalConnectMultiple (node:net:1117:18) {\n  code: 'ECONNREFUSED',\n  [errors]: [\n    Error: connect ECONNREFUSED ::1:5432\n        at createConnectionError (node:net:1647:14) {\n      code: 'ECONNREFUSED',\n      address: '::1',\n      port: 5432\n    },\n    Error: connect ECONNREFUSED 127.0.0.1:5432\n        at createConnectionError (node:net:1647:14) {\n      address: '127.0.0.1',\n      port: 5432\n    }\n  ]\n}\n",
    );
    let hosts: Vec<_> = errors.iter().map(address).collect();
    assert_eq!(hosts, [(Some("::1"), Some(5432)), (Some("127.0.0.1"), Some(5432))]);
}

#[test]
fn java_root_cause_gives_the_class() {
    let text = "HikariPool-1 - Exception during pool initialization.\norg.postgresql.util.PSQLException: The connection attempt failed.\n\tat org.postgresql.Driver.connect(Driver.java:291)\nCaused by: java.net.UnknownHostException: db: Temporary failure in name resolution\n\tat java.base/java.net.Socket.connect(Socket.java:633)\n\t... 12 more\n";
    let error = only(text, LogClass::DnsTimeout);
    assert_eq!(error.host.as_deref(), Some("db"));
    assert!(scan(text).iter().any(|error| error.class == LogClass::Context));
}

#[test]
fn java_wrapper_lends_its_address_to_the_root() {
    let error = only(
        "io.lettuce.core.RedisConnectionException: Unable to connect to redis/<unresolved>:6379\n\tat io.lettuce.core.X.y(X.java:1)\nCaused by: java.net.SocketTimeoutException: connect timed out\n",
        LogClass::Timeout,
    );
    assert_eq!(address(&error), (Some("redis"), Some(6379)));
}

#[test]
fn python_chain_is_one_error() {
    let error = only(
        "Traceback (most recent call last):\n  File \"/usr/lib/urllib3/connection.py\", line 1, in x\n    raise ConnectTimeoutError(\"timed out\")\nTimeoutError: timed out\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File \"/app/main.py\", line 3, in <module>\n    r = get()\nrequests.exceptions.ConnectTimeout: HTTPConnectionPool(host='flags', port=80): Max retries exceeded with url: / (Caused by ConnectTimeoutError(<x>, 'Connection to flags timed out. (connect timeout=3.0)'))\n",
        LogClass::Timeout,
    );
    assert_eq!(address(&error), (Some("flags"), Some(80)));
}

#[test]
fn dotnet_and_rust_chains_are_one_error() {
    let error = only(
        "Npgsql.NpgsqlException (0x80004005): Failed to connect to 10.0.0.1:5432\n ---> System.Net.Sockets.SocketException (110): Connection timed out\n   at Npgsql.Internal.NpgsqlConnector.Connect()\n   --- End of inner exception stack trace ---\n",
        LogClass::Timeout,
    );
    assert_eq!(address(&error), (Some("10.0.0.1"), Some(5432)));
    let error = only(
        "Error: failed to connect to redis:6379\n\nCaused by:\n    0: tcp connect error\n    1: Connection refused (os error 111)\n",
        LogClass::Refused,
    );
    assert_eq!(address(&error), (Some("redis"), Some(6379)));
}

#[test]
fn the_driver_knows_better_than_the_closed_socket() {
    let text = "Error: Connection terminated due to connection timeout\n    at /app/x.js:45:11 {\n  [cause]: Error: Connection terminated unexpectedly\n      at y (/app/z.js:1:1)\n";
    only(text, LogClass::Timeout);
}

#[test]
fn json_stack_trace_is_one_error() {
    let error = only(
        r#"{"level":"ERROR","message":"Unable to acquire JDBC Connection","stack_trace":"org.postgresql.util.PSQLException: Connection to pg.shop:5432 refused.\n\tat x.Y.z(Y.java:1)\nCaused by: java.net.ConnectException: Connection refused\n"}"#,
        LogClass::Refused,
    );
    assert_eq!(address(&error), (Some("pg.shop"), Some(5432)));
    assert!(error.message.is_some());
}

#[test]
fn an_error_without_address_gets_a_hint() {
    let error = only(
        "crm-sync connecting to mysql mysql.c-sync-db:3306\ncrm-sync: fatal Error: connect ETIMEDOUT\n",
        LogClass::Timeout,
    );
    let hint = error.hint.expect("the line before names an address");
    assert_eq!((hint.host.as_deref(), hint.port), (Some("mysql.c-sync-db"), Some(3306)));
}

#[test]
fn repeated_errors_are_counted() {
    let text: String = (0..1000)
        .map(|n| format!("2026-11-21T04:00:{:02}Z attempt {n}: dial tcp 10.0.0.1:80: i/o timeout\n", n % 60))
        .collect();
    let errors = scan(&text);
    assert_eq!(errors.len(), 1, "{errors:#?}");
    assert_eq!((errors[0].count, errors[0].line_number, errors[0].last_line), (1000, 1, 1000));
}

#[test]
fn results_lines_and_memory_are_bounded() {
    let mut scanner = Scanner::new(Limits { line: 1000, quote: 100, errors: 10 });
    for n in 0..100_u8 {
        let name: String = (0..8).map(|bit| if n >> bit & 1 == 1 { 'x' } else { 'y' }).collect();
        scanner.push_line(&format!("dial tcp {name}:80: i/o timeout {}", "z".repeat(5000)));
    }
    let read = scanner.finish();
    assert_eq!((read.errors.len(), read.dropped, read.lines), (10, 90, 100));
    assert!(read.errors.iter().all(|error| error.line.len() <= 100));
}

#[test]
fn colours_and_runtime_prefixes_do_not_hide_an_error() {
    for line in [
        "\u{1b}[31mError: \u{1b}[1mconnect ECONNREFUSED\u{1b}[0m 10.0.0.1:5432",
        "2026-11-21T03:58:42.715123456Z stderr F Error: connect ECONNREFUSED 10.0.0.1:5432",
        "2026-11-21T03:58:42.715123456Z Error: connect ECONNREFUSED 10.0.0.1:5432",
        r#"{"log":"Error: connect ECONNREFUSED 10.0.0.1:5432\n","stream":"stderr","time":"2026-11-21T03:58:42Z"}"#,
        r#"{"log":"{\"level\":\"error\",\"msg\":\"x\",\"error\":\"connect ECONNREFUSED 10.0.0.1:5432\"}\n","stream":"stderr"}"#,
        r#"level=error msg="db failed" err="connect ECONNREFUSED 10.0.0.1:5432""#,
    ] {
        let error = only(line, LogClass::Refused);
        assert_eq!(address(&error), (Some("10.0.0.1"), Some(5432)), "{line}");
        assert!(!error.inbound);
    }
}

#[test]
fn errors_of_callers_are_marked() {
    for line in [
        "2026-11-21 03:58:42 UTC [33] LOG:  could not receive data from client: Connection reset by peer",
        "http: TLS handshake error from 10.244.0.1:34122: EOF",
        "2026/11/21 04:00:00 [info] 29#29: *1 client timed out (110: Connection timed out) while waiting for request, client: 10.244.0.1, server: 0.0.0.0:80",
    ] {
        let errors = scan(line);
        assert_eq!(errors.len(), 1, "{line}");
        assert!(errors[0].inbound, "{errors:#?}");
    }
}

#[test]
fn healthy_lines_are_no_errors() {
    let table = include_str!("data/log-lines-healthy.txt");
    let wrong: Vec<String> = table
        .lines()
        .flat_map(|line| scan(line).into_iter().map(|error| format!("{}: {}", error.class, error.line)))
        .collect();
    assert!(table.lines().count() > 250);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The kinds of evidence in one line.
fn kinds(line: &str) -> Vec<EvidenceKind> {
    evidence(line).into_iter().map(|evidence| evidence.kind).collect()
}

#[test]
fn the_applications_own_errors_are_told_apart() {
    use EvidenceKind as Kind;
    for (kind, line) in [
        (Kind::JvmHeap, "Exception in thread \"main\" java.lang.OutOfMemoryError: Java heap space"),
        (Kind::OutOfMemory, "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory"),
        (Kind::OutOfMemory, "fatal error: runtime: out of memory"),
        (Kind::Permission, "[emerg] 1#1: bind() to 0.0.0.0:80 failed (13: Permission denied)"),
        (Kind::Permission, "Error: EACCES: permission denied, open '/data/x'"),
        (Kind::AddressInUse, "Error: listen EADDRINUSE: address already in use :::8080"),
        (Kind::AddressInUse, "listen tcp :8080: bind: address already in use"),
        (Kind::AddressInUse, "OSError: [Errno 98] Address already in use"),
        (Kind::ReadOnlyFileSystem, "mkdir /var/cache: read-only file system"),
        (Kind::NoSpace, "write /data/x: no space left on device"),
        (Kind::ExecFormat, "exec /ledger-sync: exec format error"),
        (Kind::CommandNotFound, "sh: 1: gunicorn: not found"),
        (Kind::CommandNotFound, "/bin/sh: line 1: foo: command not found"),
        (Kind::AuthFailed, "FATAL:  password authentication failed for user \"app\""),
        (Kind::AuthFailed, "ERROR 1045 (28000): Access denied for user 'app'@'10.0.0.1' (using password: YES)"),
        (Kind::AuthFailed, "WRONGPASS invalid username-password pair or user is disabled."),
        (Kind::AuthFailed, "MongoServerError: Authentication failed."),
        (Kind::AuthFailed, "requests.exceptions.HTTPError: 401 Client Error: Unauthorized for url: http://api/x"),
        (Kind::DependencyNotReady, "FATAL:  the database system is starting up"),
        (Kind::MissingConfig, "Could not resolve placeholder 'DB_URL' in value \"${DB_URL}\""),
        (Kind::MissingConfig, "required environment variable DATABASE_URL is not set"),
        (Kind::MissingConfig, "KeyError: 'DATABASE_URL'"),
        (Kind::MissingFile, "FileNotFoundError: [Errno 2] No such file or directory: '/etc/app/config.yaml'"),
        (Kind::MissingFile, "open /etc/app/config.yaml: no such file or directory"),
        (Kind::MissingFile, "Error: Cannot find module 'express'"),
        (
            Kind::HttpServerError,
            "requests.exceptions.HTTPError: 504 Server Error: Gateway Time-out for url: http://api-gw.c-gate/v1/flags",
        ),
        (Kind::Segfault, "Segmentation fault (core dumped)"),
        (Kind::AppError, "panic: assignment to entry in nil map"),
        (Kind::AppError, "thread 'main' panicked at src/main.rs:3:5:"),
        (Kind::AppError, "KeyError: 'rates'"),
        (Kind::AppError, "Exception in thread \"main\" java.lang.IllegalStateException: no rates"),
        (Kind::AppError, "TypeError: Cannot read properties of undefined (reading 'x')"),
        (Kind::AppError, "Unhandled exception. System.InvalidOperationException: x"),
        (Kind::AppError, "time=\"x\" level=fatal msg=\"no rates\""),
    ] {
        assert_eq!(kinds(line), [kind], "{line}");
        assert!(scan(line).is_empty(), "{line}: {:?}", scan(line));
    }
    assert!(kinds("INFO server started, listening on :8080").is_empty());
    assert!(kinds("dial tcp 10.0.0.1:80: connect: connection refused").is_empty());
    let gone = &evidence("HTTPError: 503 Server Error: Service Unavailable for url: http://api.shop:8080/x")[0];
    assert_eq!((gone.host.as_deref(), gone.port), (Some("api.shop"), Some(8080)));
}

#[test]
fn no_credential_leaves_the_scanner() {
    let secret = "hunter2-s3cr3t";
    let key = format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----\n");
    let text = format!(
        "connecting to postgres://app:{secret}@db:5432/x\n\
         Error: connect ECONNREFUSED 10.0.0.1:5432 postgres://app:{secret}@db:5432/x?sslpassword={secret}\n\
         error dialing amqp://u:{secret}@rabbit:5672: connection refused, headers Authorization: Bearer {secret}\n\
         {{\"level\":\"error\",\"msg\":\"dial tcp 10.0.0.2:80: i/o timeout\",\"password\":\"{secret}\",\"api_key\":\"{secret}\"}}\n\
         {{\"log\":\"{{\\\"err\\\":\\\"connection refused\\\",\\\"token\\\":\\\"{secret}\\\"}}\"}}\n\
         panic: cannot open mysql root:{secret}@tcp(db:3306)/x\n\
         FATAL: KeyError PASSWORD={secret} is not set\n{key}"
    );
    let read = read(&text);
    assert!(read.errors.len() >= 4, "{:#?}", read.errors);
    assert!(!read.evidence.is_empty());
    let shown = format!("{read:?}");
    assert!(!shown.contains(secret), "{read:#?}");
    assert!(shown.contains("db:5432"));
}

/// One recorded case: whether a policy is its cause, the cause, the pod, the target.
struct Case {
    name: String,
    cause: String,
    network: bool,
    pod: String,
    target: String,
    logs: Vec<(String, String)>,
}

fn cases() -> Option<Vec<Case>> {
    let root = shared("real/crash")?;
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(root).expect("the cases are readable") {
        let path = entry.expect("an entry").path();
        let Ok(answer) = std::fs::read_to_string(path.join("answer.yaml")) else {
            continue;
        };
        let field = |key: &str| {
            answer.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": ")).unwrap_or_default().to_owned()
        };
        let mut logs = Vec::new();
        for log in std::fs::read_dir(path.join("logs")).into_iter().flatten().flatten() {
            let name = log.file_name().to_string_lossy().into_owned();
            if name.ends_with(".log") {
                let bytes = std::fs::read(log.path()).expect("a log");
                logs.push((name, String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
        cases.push(Case {
            name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            cause: field("cause"),
            network: field("network") == "true",
            pod: field("pod").replace('/', "_"),
            target: field("target"),
            logs,
        });
    }
    Some(cases)
}

#[test]
fn logs_of_real_pods() {
    let Some(cases) = cases() else { return };
    assert!(cases.len() > 40, "{}", cases.len());
    let mut wrong = String::new();
    let mut found = 0;
    for case in &cases {
        for (name, log) in &case.logs {
            let errors = scan(log);
            let classes: Vec<LogClass> =
                errors.iter().map(|error| error.class).filter(|class| *class != LogClass::Context).collect();
            let own = name.starts_with(&case.pod);
            // what the truth of the case leaves room for in the log of its pod; nothing elsewhere,
            // save for replicas of the same workload
            let replica = case.pod.rsplit_once('-').is_some_and(|(workload, _)| name.starts_with(workload));
            let allowed: &[LogClass] = match case.cause.as_str() {
                _ if !own && !replica => &[],
                "policy-blocked" => &[LogClass::Timeout, LogClass::Unreachable],
                "dns-blocked" => &[LogClass::DnsTimeout, LogClass::DnsNxdomain],
                "name-not-found" => &[LogClass::DnsNxdomain],
                "no-endpoints" => &[LogClass::Refused],
                "dependency-down" => &[LogClass::Refused, LogClass::Timeout],
                _ => &[],
            };
            if classes.iter().any(|class| !allowed.contains(class)) {
                let _ = writeln!(wrong, "{}: {name}: {errors:#?}", case.name);
            }
            found += usize::from(own && case.network && !classes.is_empty());
            // an address that the log names is the target's
            let (host, port) = case.target.rsplit_once(':').unwrap_or((&case.target, ""));
            for error in errors.iter().filter(|_| own) {
                let named = error.host.as_deref().or(error.hint.as_ref().and_then(|hint| hint.host.as_deref()));
                let address = named.is_some_and(|named| named.parse::<std::net::IpAddr>().is_ok());
                if named.is_some_and(|named| !address && named != host)
                    || error.port.is_some_and(|named| !port.is_empty() && named.to_string() != port)
                {
                    let _ = writeln!(wrong, "{}: {name}: not {}: {error:#?}", case.name, case.target);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(found >= 15, "{found}");
}

proptest! {
    #[test]
    fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..2000), cut in 0_usize..2000) {
        let whole = read(&String::from_utf8_lossy(&bytes));
        let mut scanner = Scanner::new(Limits::default());
        let (head, tail) = bytes.split_at(cut.min(bytes.len()));
        scanner.push(head);
        scanner.push(tail);
        prop_assert_eq!(scanner.finish().lines, whole.lines);
    }

    #[test]
    fn any_text_around_an_error_is_read(before in "[ -~]{0,40}", after in "\\PC{0,60}") {
        let text = format!("{before}\ndial tcp 10.0.0.1:80: i/o timeout\n{after}");
        let errors = scan(&text);
        prop_assert!(errors.iter().any(|error| error.class == LogClass::Timeout && error.port == Some(80)));
        let _ = scrub(&text);
    }
}

/// Written down with the answer first. A name stands for the kinds that say the same to `why`.
#[test]
fn the_applications_own_errors_in_other_words() {
    use EvidenceKind as Kind;
    let mut wrong = String::new();
    for row in include_str!("data/log-evidence.tsv").lines().skip(1) {
        let (name, line) = row.split_once('\t').expect("a kind and a line");
        let right: &[EvidenceKind] = match name {
            "AuthFailed" => &[Kind::AuthFailed],
            "PortInUse" => &[Kind::AddressInUse],
            "Permission" => &[Kind::Permission],
            "ReadOnly" => &[Kind::ReadOnlyFileSystem],
            "NoSpace" => &[Kind::NoSpace],
            "JvmHeap" => &[Kind::JvmHeap],
            "OutOfMemory" => &[Kind::OutOfMemory],
            "ExecFormat" => &[Kind::ExecFormat],
            "NotFound" => &[Kind::CommandNotFound],
            "MissingFile" => &[Kind::MissingFile],
            "MissingConfig" => &[Kind::MissingConfig, Kind::AppError],
            "Segfault" => &[Kind::Segfault],
            "NotReady" => &[Kind::DependencyNotReady],
            "AppError" => &[Kind::AppError],
            other => panic!("{other}"),
        };
        let found = kinds(line);
        let errors: Vec<LogClass> =
            scan(line).into_iter().map(|e| e.class).filter(|class| *class != LogClass::Context).collect();
        if !found.first().is_some_and(|kind| right.contains(kind)) || !errors.is_empty() {
            let _ = writeln!(wrong, "got {found:?} {errors:?}, want {name}: {line}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
