//! Addresses that a configuration file spreads over two settings: `redis.host=cache` beside `redis.port=6379`, a YAML map with
//! `host:` and `port:`, an INI section.
//!
//! The text of one file comes in, addresses go out. What a file names need not be dialled.

use super::addresses::{Address, is_host, own};
use super::drivers::scheme_of_name;

/// Lines between a host and its port.
const NEAR: usize = 6;
/// Most addresses of one file.
const MOST: usize = 32;
/// What the last part of a setting's name is called where it holds a host.
const HOSTS: &[&str] = &["hostname", "host", "address", "addr", "server", "endpoint", "broker"];

/// A line that sets something.
struct Setting<'t> {
    line: usize,
    indent: usize,
    /// Lower case, as far as the part that says `host` or `port`.
    prefix: String,
    last: String,
    value: &'t str,
    section: Option<&'t str>,
}

/// The hosts that stand beside a port of their own.
pub(super) fn pairs(text: &str) -> Vec<Address> {
    let settings = settings(text);
    let mut out = Vec::new();
    for (at, host) in settings.iter().enumerate() {
        if !HOSTS.contains(&host.last.as_str()) || !is_host(host.value) || own(host.value) || out.len() >= MOST {
            continue;
        }
        let near = &settings[at.saturating_sub(NEAR)..(at + NEAR + 1).min(settings.len())];
        let port = near
            .iter()
            .filter(|s| s.last == "port" && s.prefix == host.prefix && s.indent == host.indent)
            .filter(|s| s.section == host.section)
            .min_by_key(|s| s.line.abs_diff(host.line))
            .and_then(|s| s.value.parse::<u16>().ok());
        // A name without a dot and a port may be anything.
        if port.is_none() && !host.value.contains('.') {
            continue;
        }
        let scheme = scheme_of_name(&format!("{}{}", host.section.unwrap_or_default(), host.prefix));
        out.push(Address { host: host.value.to_owned(), port, scheme: scheme.map(str::to_owned) });
    }
    out
}

fn settings(text: &str) -> Vec<Setting<'_>> {
    let mut out: Vec<Setting<'_>> = Vec::new();
    // Keys that open a map, with their indent; an INI section has none.
    let mut open: Vec<(usize, &str)> = Vec::new();
    for (line, raw) in text.lines().enumerate().take(5_000) {
        let content = raw.trim();
        let indent = raw.len() - raw.trim_start().len();
        if content.is_empty() || content.starts_with(['#', ';']) || content.starts_with("//") {
            continue;
        }
        if let Some(section) = content.strip_prefix('[').and_then(|s| s.strip_suffix(']')) {
            open = vec![(0, section)];
            continue;
        }
        let ini = matches!(open.as_slice(), [(0, _)]) && indent == 0;
        if !ini {
            open.retain(|(at, _)| *at < indent);
        }
        let Some((key, value)) = content.split_once(['=', ':']) else { continue };
        let key = key.trim().trim_start_matches("- ").trim_start_matches("export ").trim_matches(['"', '\'', ' ']);
        let value = value.trim().trim_end_matches([',', ';']).trim_matches(['"', '\'', ' ']);
        if value.is_empty() || value == "{" {
            open.push((indent, key));
            continue;
        }
        let lower = key.to_ascii_lowercase();
        let cut = HOSTS.iter().chain(&["port"]).find_map(|word| lower.strip_suffix(word).map(|p| (p, *word)));
        let Some((prefix, last)) = cut else { continue };
        if !prefix.is_empty()
            && !prefix.ends_with(['.', '_', '-'])
            && key.len() == prefix.len() + last.len()
            && !camel(key, prefix.len())
        {
            continue;
        }
        let (prefix, last) = (prefix.to_owned(), last.to_owned());
        out.push(Setting { line, indent, prefix, last, value, section: open.last().map(|(_, key)| *key) });
    }
    out
}

/// `redisHost`: the last part starts with a capital.
fn camel(key: &str, at: usize) -> bool {
    key.as_bytes().get(at).is_some_and(u8::is_ascii_uppercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<(String, Option<u16>, Option<String>)> {
        pairs(text).into_iter().map(|a| (a.host, a.port, a.scheme)).collect()
    }

    #[test]
    fn a_host_and_a_port_beside_it() {
        let redis = vec![("cache.data".to_owned(), Some(6380), Some("redis".to_owned()))];
        for text in [
            "# x\nredis.host=cache.data\nredis.timeout=3\nredis.port=6380\n",
            "log: info\nredis:\n  host: cache.data\n  port: 6380\nserver:\n  port: 8080\n",
            "redis:\n  port: 6380\n  host: \"cache.data\"\n",
            "[redis]\nhost = cache.data\nport = 6380\n[server]\nport = 8080\n",
            "{\n  \"redis\": {\n    \"host\": \"cache.data\",\n    \"port\": 6380\n  }\n}\n",
            "export REDIS_HOST=cache.data\nexport REDIS_PORT=6380\n",
            "redisHost: cache.data\nredisPort: 6380\n",
        ] {
            assert_eq!(of(text), redis, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_of_another() {
        for text in ["server:\n  port: 8080\n", "host: localhost\nport: 1\n", "ghost: here.x\n", "address: street\n"] {
            assert_eq!(of(text), Vec::new(), "{text}");
        }
    }
}
