//! Addresses that a command line or a wait script dials: `nc -z db 5432`, `pg_isready -h db`, `wait-for-it.sh db:5432`.

/// An address that a script names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialled {
    /// Host.
    pub host: String,
    /// Port, where the script has it.
    pub port: Option<u16>,
    /// Scheme or program, which implies a port: `postgres`, `redis`, `http`.
    pub scheme: Option<String>,
}

/// Programs that take `-h HOST` and `-p PORT`, with the scheme of what they talk to.
const CLIENTS: &[(&str, &str)] = &[
    ("pg_isready", "postgres"),
    ("psql", "postgres"),
    ("pg_dump", "postgres"),
    ("createdb", "postgres"),
    ("mysql", "mysql"),
    ("mysqladmin", "mysql"),
    ("mysqldump", "mysql"),
    ("mariadb", "mysql"),
    ("mariadb-admin", "mysql"),
    ("redis-cli", "redis"),
    ("valkey-cli", "redis"),
    ("mongo", "mongodb"),
    ("mongosh", "mongodb"),
    ("clickhouse-client", "clickhouse"),
    ("kcat", "kafka"),
    ("kafkacat", "kafka"),
    ("rabbitmqadmin", "amqp"),
    ("ldapsearch", "ldap"),
    ("cqlsh", "cassandra"),
];

/// Flags of `nc` that take a value.
const NC_VALUES: &[&str] = &["-w", "-W", "-i", "-p", "-s", "-G", "-q", "-X", "-x", "-I", "-O"];

/// What the words of a command dial. `value` gives the value of a variable.
pub fn dialled(words: &[String], value: &dyn Fn(&str) -> Option<String>) -> Vec<Dialled> {
    let mut out: Vec<Dialled> = Vec::new();
    let mut push = |host: &str, port: Option<u16>, scheme: Option<&str>| {
        let host = host.trim_matches(['"', '\'', '[', ']']);
        if super::addresses::is_host(host) && !super::addresses::own(host) {
            let scheme = scheme.map(str::to_owned);
            match out.iter_mut().find(|known| known.host == host && known.port == port) {
                Some(known) => known.scheme = known.scheme.take().or(scheme),
                None => out.push(Dialled { host: host.to_owned(), port, scheme }),
            }
        }
    };
    let script = expand(&words.join(" "), value);
    let tokens: Vec<&str> = script
        .split(|c: char| c.is_whitespace() || matches!(c, ';' | '|' | '&' | '(' | ')' | '`' | '"' | '\'' | '<' | '>'))
        .filter(|t| !t.is_empty())
        .collect();
    for (at, token) in tokens.iter().enumerate() {
        let program = token.rsplit('/').next().unwrap_or(token);
        let rest = &tokens[at + 1..];
        if let Some(address) = token.split("/dev/tcp/").nth(1) {
            if let Some((host, port)) = address.split_once('/') {
                push(host, port.parse().ok(), None);
            }
            continue;
        }
        match program {
            "nc" | "ncat" | "netcat" => {
                let mut plain = Vec::new();
                let mut skip = false;
                for word in rest.iter().take(12) {
                    if skip {
                        skip = false;
                    } else if word.starts_with('-') && word.len() > 1 {
                        skip = NC_VALUES.contains(word);
                    } else {
                        plain.push(*word);
                        if plain.len() == 2 {
                            break;
                        }
                    }
                }
                if let [host, port] = plain.as_slice() {
                    push(host, port.parse().ok(), None);
                } else if let [one] = plain.as_slice()
                    && let Some((host, port)) = one.rsplit_once(':')
                {
                    push(host, port.parse().ok(), None);
                }
            }
            "nslookup" | "dig" | "host" => {
                if let Some(host) =
                    rest.iter().find(|w| !w.starts_with('-') && !w.starts_with('@') && !w.starts_with('+'))
                {
                    push(host, None, Some("dns"));
                }
            }
            "getent" => {
                if let Some(host) =
                    rest.get(1).filter(|_| rest.first().is_some_and(|w| matches!(*w, "hosts" | "ahosts" | "ahostsv4")))
                {
                    push(host, None, Some("dns"));
                }
            }
            "ping" => {}
            _ => {
                if let Some((_, scheme)) = CLIENTS.iter().find(|(name, _)| *name == program) {
                    let host = flag(rest, &["-h", "--host", "--hostname"]);
                    let port = flag(rest, &["-p", "-P", "--port"]).and_then(|p| p.parse().ok());
                    if let Some(host) = host {
                        push(&host, port, Some(scheme));
                    }
                } else if program.starts_with("wait-for")
                    || program.starts_with("waitfor")
                    || matches!(program, "wait4x" | "wait-on")
                {
                    for word in rest.iter().take(6) {
                        if let Some((host, port)) = word.rsplit_once(':')
                            && let Ok(port) = port.parse()
                        {
                            push(host.trim_start_matches("tcp://").trim_start_matches("tcp:"), Some(port), None);
                        }
                    }
                }
            }
        }
    }
    for found in super::addresses::endpoints(&script) {
        push(&found.host, found.port, found.scheme.as_deref());
    }
    // What a program is given as `--db-host X --db-port Y`, `-redis.addr=X` or `-Dspring.data.redis.host=X`.
    for (at, token) in tokens.iter().enumerate() {
        let name = token.trim_start_matches('-');
        let dashes = token.len() - name.len();
        if !(1..=2).contains(&dashes) || name.len() < 4 {
            continue;
        }
        let (name, value) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (name, tokens.get(at + 1).copied()),
        };
        let (Some(prefix), Some(value)) = (host_flag(name), value) else { continue };
        let wanted = format!("{}{prefix}port", &token[..dashes]);
        let port = flag(&tokens, &[&wanted]).and_then(|p| p.parse().ok());
        let (host, own) = match value.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()),
            None => (value, None),
        };
        push(host, own.or(port), super::drivers::scheme_of_name(name));
    }
    out
}

/// What stands before `host` in a flag's name, with its separator: `db-host` gives `db-`, `redis.addr` gives `redis.`.
fn host_flag(name: &str) -> Option<&str> {
    ["hostname", "host", "address", "addr", "servers", "server", "endpoint", "brokers", "broker"]
        .iter()
        .find_map(|word| name.strip_suffix(word))
        .filter(|p| p.is_empty() || p.ends_with(['-', '.', '_']))
}

/// The value of a flag: `-h db`, `-hdb`, `--host=db`, `--host db`.
fn flag(words: &[&str], names: &[&str]) -> Option<String> {
    for (at, word) in words.iter().enumerate().take(64) {
        for name in names {
            if word == name {
                return words.get(at + 1).map(|w| (*w).to_owned());
            }
            if let Some(value) = word.strip_prefix(name) {
                let value = value.strip_prefix('=').unwrap_or(value);
                if !value.is_empty() && (word.contains('=') || !name.starts_with("--")) {
                    return Some(value.to_owned());
                }
            }
        }
    }
    None
}

/// `$(VAR)`, `$VAR`, `${VAR}` and `${VAR:-default}` put in; what isn't known stays.
pub fn expand(text: &str, value: &dyn Fn(&str) -> Option<String>) -> String {
    let name_end = |rest: &str| rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let (known, used) = match after.as_bytes().first() {
            Some(b'(') => match after.find(')') {
                Some(end) => (value(&after[1..end]), end + 1),
                None => (None, 0),
            },
            Some(b'{') => match after.find('}') {
                Some(end) => {
                    let inside = &after[1..end];
                    let name = &inside[..name_end(inside)];
                    let default = inside[name.len()..].trim_start_matches(':').strip_prefix('-').map(str::to_owned);
                    (value(name).or(default), end + 1)
                }
                None => (None, 0),
            },
            _ => {
                let end = name_end(after);
                (value(&after[..end]).filter(|_| end > 0), end)
            }
        };
        match known {
            Some(known) => out.push_str(&known),
            None => out.push_str(&rest[at..at + 1 + used]),
        }
        rest = &after[used..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(script: &str) -> Vec<(String, Option<u16>)> {
        let value = |name: &str| match name {
            "DB_HOST" => Some("pg.data".to_owned()),
            "DB_PORT" => Some("5433".to_owned()),
            _ => None,
        };
        dialled(&["sh".to_owned(), "-c".to_owned(), script.to_owned()], &value)
            .into_iter()
            .map(|d| (d.host, d.port))
            .collect()
    }

    #[test]
    fn wait_scripts_name_what_they_wait_for() {
        let db = |host: &str, port| vec![(host.to_owned(), port)];
        assert_eq!(
            of("until nc -z -w 2 postgres.data 5432; do echo waiting; sleep 2; done"),
            db("postgres.data", Some(5432))
        );
        assert_eq!(of("nc -w 3 -zv redis 6379"), db("redis", Some(6379)));
        assert_eq!(of("until pg_isready -h $DB_HOST -p ${DB_PORT}; do sleep 1; done"), db("pg.data", Some(5433)));
        assert_eq!(of("timeout 3 redis-cli -h buffer.logs -p 6379 ping"), db("buffer.logs", Some(6379)));
        assert_eq!(of("while ! mysqladmin ping -h\"${DB:-mysql}\" --silent; do sleep 1; done"), db("mysql", None));
        assert_eq!(of("./wait-for-it.sh rabbit.mq:5672 -t 60 -- run"), db("rabbit.mq", Some(5672)));
        assert_eq!(of("(echo > /dev/tcp/kafka/9092) >/dev/null 2>&1"), db("kafka", Some(9092)));
        assert_eq!(
            of("until nslookup api.backend.svc.cluster.local; do sleep 2; done"),
            db("api.backend.svc.cluster.local", None)
        );
        assert_eq!(of("dockerize -wait tcp://es:9200 -timeout 1m"), db("es", Some(9200)));
        assert_eq!(of("app --db-host=$(DB_HOST) --db-port 5433"), db("pg.data", Some(5433)));
        assert_eq!(of("serve --redis.host cache.data --redis.port 6380"), db("cache.data", Some(6380)));
        assert_eq!(
            of("java -Dspring.data.redis.host=cache -Dspring.data.redis.port=6380 -jar x"),
            db("cache", Some(6380))
        );
        assert_eq!(of("api -nats_addr=bus.data:4222 -v"), db("bus.data", Some(4222)));
        assert_eq!(of("echo hello; exec gunicorn -b 0.0.0.0:8000 x"), Vec::new());
    }
}
