//! Families of drivers and servers: the words by which names of variables, schemes and logs give one away, and its usual port.

/// The scheme that a variable's or flag's name speaks of: `PGHOST`, `REDIS_ADDR`, `db-host` of nothing.
pub(super) fn scheme_of_name(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let words: [(&str, &str); 27] = [
        ("pghost", "postgres"),
        ("postgres", "postgres"),
        ("pg_", "postgres"),
        ("mysql", "mysql"),
        ("mariadb", "mysql"),
        ("redis", "redis"),
        ("valkey", "redis"),
        ("mongo", "mongodb"),
        ("rabbit", "amqp"),
        ("amqp", "amqp"),
        ("kafka", "kafka"),
        ("bootstrap", "kafka"),
        ("nats", "nats"),
        ("elastic", "elasticsearch"),
        ("opensearch", "elasticsearch"),
        ("memcache", "memcached"),
        ("cassandra", "cassandra"),
        ("etcd", "etcd"),
        ("zookeeper", "zookeeper"),
        ("zk_", "zookeeper"),
        ("smtp", "smtp"),
        ("ldap", "ldap"),
        ("vault", "vault"),
        ("consul", "consul"),
        ("clickhouse", "clickhouse"),
        ("influx", "influxdb"),
        ("mqtt", "mqtt"),
    ];
    words.iter().find(|(word, _)| name.contains(word)).map(|(_, scheme)| *scheme)
}

/// The port that a scheme means where none is written.
pub(super) fn port_of_scheme(scheme: &str) -> Option<u16> {
    let scheme = scheme.split('+').next().unwrap_or(scheme);
    Some(match scheme {
        "postgres" | "postgresql" | "postgis" | "pgsql" => 5432,
        "mysql" | "mysql2" | "mariadb" => 3306,
        "redis" | "rediss" | "valkey" => 6379,
        "mongodb" | "mongo" => 27017,
        "amqp" | "rabbitmq" => 5672,
        "amqps" => 5671,
        "kafka" => 9092,
        "nats" => 4222,
        "http" | "ws" => 80,
        "https" | "wss" => 443,
        "elasticsearch" => 9200,
        "memcached" | "memcache" => 11211,
        "cassandra" | "cql" => 9042,
        "sqlserver" | "mssql" => 1433,
        "oracle" => 1521,
        "ldap" => 389,
        "ldaps" => 636,
        "smtp" => 25,
        "smtps" => 465,
        "zookeeper" => 2181,
        "etcd" => 2379,
        "consul" => 8500,
        "vault" => 8200,
        "clickhouse" => 9000,
        "mqtt" => 1883,
        "mqtts" => 8883,
        "bolt" | "neo4j" => 7687,
        "influxdb" => 8086,
        "ftp" => 21,
        "ssh" | "sftp" => 22,
        "otlp" => 4317,
        "temporal" => 7233,
        _ => return None,
    })
}

/// Families of drivers by what they leave in a log: stack frames, package names, their own words.
const DRIVERS: &[(&str, &[&str])] = &[
    (
        "postgres",
        &[
            "pg-pool",
            "node_modules/pg/",
            "psycopg",
            "org.postgresql",
            "npgsql",
            "lib/pq",
            "pgx",
            "asyncpg",
            "libpq",
            "postgres",
            "sequelize-postgres",
            "pg::",
            "postgrex",
        ],
    ),
    ("mysql", &["mysql", "mariadb"]),
    ("redis", &["redis", "lettuce", "jedis", "valkey"]),
    ("mongodb", &["mongo"]),
    ("amqp", &["amqp", "rabbitmq", "pika"]),
    ("kafka", &["kafka"]),
    ("elasticsearch", &["elasticsearch", "opensearch", "elastic.co", "elastic_transport", "@elastic/"]),
    ("cassandra", &["cassandra", "scylla"]),
    ("memcached", &["memcache"]),
    ("nats", &["nats.io", "nats:"]),
    ("oracle", &["ora-", "oracle"]),
    ("sqlserver", &["sqlclient", "mssql", "sqlserver"]),
    ("etcd", &["etcd"]),
    ("zookeeper", &["zookeeper"]),
    ("clickhouse", &["clickhouse"]),
    ("ldap", &["ldap"]),
    ("temporal", &["temporal"]),
];

/// The families that a text speaks of.
pub(super) fn families(text: &str) -> Vec<&'static str> {
    let lower = text.to_ascii_lowercase();
    DRIVERS.iter().filter(|(_, words)| words.iter().any(|w| lower.contains(w))).map(|(family, _)| *family).collect()
}

/// The family of a scheme, which is the driver's own, or else of a port: `postgres://db:6432` is PostgreSQL, `http://x:9200`
/// Elasticsearch.
pub(super) fn family(scheme: Option<&str>, port: Option<u16>) -> Option<&'static str> {
    let of_port =
        |port: u16| DRIVERS.iter().map(|(family, _)| *family).find(|family| port_of_scheme(family) == Some(port));
    scheme.and_then(port_of_scheme).and_then(of_port).or_else(|| of_port(port?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_variables() {
        assert_eq!(scheme_of_name("PGHOST"), Some("postgres"));
        assert_eq!(scheme_of_name("CACHE_HOST"), None);
    }
}
