//! Takes credentials out of text that will be shown or stored. Hosts and ports stay.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// What stands where a credential stood.
const GONE: &str = "***";

/// Cheap signs that a text may hold a credential.
static SIGNS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?i)@|pass|pwd|secret|token|key|auth|bearer|basic |cookie|credential|signature|sig=|sas=|session|jwt|eyj|akia|asia|gh[pousr]_|github_pat|xox[abeoprs]-|sk[-_]|rk_live|glpat|aiza|npm_|hvs\.|identified by|-----begin|dsn|://",
    )
    .ok()
});

fn compile(pattern: &str) -> Option<Regex> {
    Regex::new(pattern).ok()
}

/// `-----BEGIN … PRIVATE KEY-----` up to its end, or to the end of the text.
static KEY_BLOCK: LazyLock<Option<Regex>> = LazyLock::new(|| {
    compile(r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)")
});
/// `scheme://user:password@`, whatever the password holds.
static USERINFO: LazyLock<Option<Regex>> = LazyLock::new(|| compile(r#"(?i)([a-z][a-z0-9+.-]*://)([^\s"'<>`\\]*)"#));
/// `user:password@tcp(host)`, `user/password@//host`, `user:password@host` without a scheme.
static BARE_USERINFO: LazyLock<Option<Regex>> = LazyLock::new(|| {
    compile(r#"(^|[\s"'=(\[,`:])([\w.%+-]+[:/][^\s"'@,/]+(?:@[^\s"'@,/]+)*)@((?:tcp|unix|udp)\(|//|\[?[A-Za-z0-9_])"#)
});
/// `password=…`, `"api_key": "…"`, `--token …`.
static NAMED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    compile(
        r#"(?ix)
        ( \b? [\w.-]* (?: passw(?:or)?d | passphrase | \bpass | _pass | pwd | secret | token | api[_-]?key | apikey | access[_-]?key(?:[_-]?id)?
          | account[_-]?key | private[_-]?key | shared[_-]?key | encryption[_-]?key | signing[_-]?key | master[_-]?key | auth[_-]?key | credentials? | x-amz-signature | signature | \bsig | \bsas
          | requirepass | masterauth | session[_-]?id | sessionid | jwt | auth[_-]?token | x-api-key | x-auth[\w-]* | x-vault-token ) [\w.-]* )
        ( \\*["']? \s* (?: => | := | [=:] ) \s* )
        ( \\*"(?:[^"\\]|\\[^"])*\\*"? | \\*'[^']*'? | \{[^}]*\} | [^\s,;&"'})\]\\]+ )"#,
    )
});
static FLAG: LazyLock<Option<Regex>> = LazyLock::new(|| {
    compile(
        r#"(?i)(--?(?:[\w-]*(?:password|passwd|secret|token|api-key|apikey|access-key|credential)[\w-]*)[ =]+)("[^"]*"|'[^']*'|[^\s-][^\s]*)"#,
    )
});
static HEADER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    compile(
        r#"(?i)((?:proxy-)?authorization\\?["']?\s*(?:=>|[:=])\s*(?:\[)?\\?["']?(?:(?:bearer|basic|digest|negotiate|token|apikey|aws4-hmac-sha256|splunk)\s+)?|(?:set-)?cookie\\?["']?\s*[:=]\s*\\?["']?|\bbearer\s+|\bbasic\s+)([A-Za-z0-9+/=_.~:%-]{6,}[^\s"'\\,}\]]*)([^"'\n\\]*)"#,
    )
});
static SHAPE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    compile(
        r"\b(?:(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,}|gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{16,}|xox[abeoprs]-[\w-]{8,}|[srp]k_(?:live|test)_[A-Za-z0-9]{8,}|sk-[A-Za-z0-9_-]{16,}|glpat-[\w-]{12,}|AIza[\w-]{30,}|npm_[A-Za-z0-9]{20,}|hv[sbr]\.[\w-]{16,}|SG\.[\w-]{16,}\.[\w-]{16,}|eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?)",
    )
});
static SQL: LazyLock<Option<Regex>> =
    LazyLock::new(|| compile(r#"(?i)(identified by |\bauth |password )('[^']*'|"[^"]*")"#));

/// The text without credentials: passwords in URLs and connection strings, values of names that
/// hold secrets, authorization headers, keys and tokens of known shapes, private keys.
pub fn scrub(text: &str) -> Cow<'_, str> {
    if SIGNS.as_ref().is_some_and(|signs| !signs.is_match(text)) {
        return Cow::Borrowed(text);
    }
    let mut out = Cow::Borrowed(text);
    step(&mut out, &KEY_BLOCK, |_| GONE.to_owned());
    step(&mut out, &HEADER, |found| {
        let head = found.get(1).map_or("", |head| head.as_str());
        let tail = found.get(3).map_or("", |tail| tail.as_str());
        // `basic` and `bearer` are also words of prose
        let alone = head.trim_end().len() <= 6;
        let value = found.get(2).map_or("", |value| value.as_str());
        if alone && value.len() < 16 && value.bytes().all(|b| b.is_ascii_lowercase()) {
            return found.get(0).map_or_else(String::new, |all| all.as_str().to_owned());
        }
        if head.to_ascii_lowercase().contains("cookie") || head.contains("uthorization") && !tail.contains("://") {
            format!("{head}{GONE}")
        } else {
            format!("{head}{GONE}{tail}")
        }
    });
    step(&mut out, &USERINFO, |found| {
        let scheme = found.get(1).map_or("", |scheme| scheme.as_str());
        let rest = found.get(2).map_or("", |rest| rest.as_str());
        format!("{scheme}{}", without_userinfo(rest))
    });
    step(&mut out, &BARE_USERINFO, |found| {
        let all = found.get(0).map_or("", |all| all.as_str());
        let lead = found.get(1).map_or("", |lead| lead.as_str());
        let user = found.get(2).map_or("", |user| user.as_str());
        let next = found.get(3).map_or("", |next| next.as_str());
        if user.starts_with("//") || next.starts_with("sha256") || user == GONE {
            return all.to_owned();
        }
        format!("{lead}{GONE}@{next}")
    });
    step(&mut out, &NAMED, |found| {
        let all = found.get(0).map_or("", |all| all.as_str());
        let name = found.get(1).map_or("", |name| name.as_str());
        let sign = found.get(2).map_or("", |sign| sign.as_str());
        let value = found.get(3).map_or("", |value| value.as_str());
        let bare = value.trim_matches(['"', '\'', '\\']);
        if matches!(bare, "YES" | "NO" | "" | "null" | "None" | "nil" | "true" | "false" | GONE) {
            return all.to_owned();
        }
        let quote: String = value.chars().take_while(|c| matches!(c, '\\' | '"' | '\'')).collect();
        format!("{name}{sign}{quote}{GONE}{quote}")
    });
    step(&mut out, &FLAG, |found| format!("{}{GONE}", found.get(1).map_or("", |flag| flag.as_str())));
    step(&mut out, &SQL, |found| format!("{}'{GONE}'", found.get(1).map_or("", |lead| lead.as_str())));
    step(&mut out, &SHAPE, |_| GONE.to_owned());
    out
}

/// What follows `scheme://`, without `user:password@`. A password may hold `/`, `?` and `@`; a path
/// may hold `@` too, and must not be taken for one.
fn without_userinfo(rest: &str) -> Cow<'_, str> {
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (head, _) = rest.split_at(authority);
    if let Some(at) = head.rfind('@') {
        // a password was given: an `@` in what looks like the path may still be the password's
        let (user, _) = head.split_once('@').unwrap_or((head, ""));
        let path = rest.find(['?', '#']).unwrap_or(rest.len());
        let at = match rest.get(..path).and_then(|path| path.rfind('@')) {
            Some(last) if user.contains(':') => last,
            _ => at,
        };
        return Cow::Owned(format!("{GONE}@{}", rest.get(at + 1..).unwrap_or_default()));
    }
    // no `@` before the first slash: either a path holds it, or the password holds the slash
    let Some(at) = rest.rfind('@') else {
        return Cow::Borrowed(rest);
    };
    let port =
        head.rsplit_once(':').is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
    if head.contains(':') && !port {
        return Cow::Owned(format!("{GONE}@{}", rest.get(at + 1..).unwrap_or_default()));
    }
    Cow::Borrowed(rest)
}

fn step(text: &mut Cow<'_, str>, pattern: &LazyLock<Option<Regex>>, with: impl Fn(&Captures<'_>) -> String) {
    let Some(pattern) = pattern.as_ref() else {
        return;
    };
    if pattern.is_match(text) {
        let scrubbed = pattern.replace_all(text, |captures: &Captures<'_>| with(captures)).into_owned();
        *text = Cow::Owned(scrubbed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        for pattern in [&SIGNS, &KEY_BLOCK, &USERINFO, &BARE_USERINFO, &NAMED, &FLAG, &HEADER, &SHAPE, &SQL] {
            assert!(pattern.is_some());
        }
    }

    #[test]
    fn credentials_go_and_addresses_stay() {
        for (text, scrubbed) in [
            ("postgres://app:s3cr3t@db:5432/x refused", "postgres://***@db:5432/x refused"),
            ("amqp://guest:p@ss/w@rd@rabbit:5672//", "amqp://***@rabbit:5672//"),
            ("redis://:s3cr3t@cache:6379/0", "redis://***@cache:6379/0"),
            ("mongodb://u:s3cr3t@a:1,b:2/x", "mongodb://***@a:1,b:2/x"),
            ("http://api:8080/users/a@b.c", "http://api:8080/users/a@b.c"),
            ("root:s3cr3t@tcp(mysql:3306)/app", "***@tcp(mysql:3306)/app"),
            ("scott/s3cr3t@//ora:1521/x", "***@//ora:1521/x"),
            ("host=db port=5432 password=s3cr3t dbname=x", "host=db port=5432 password=*** dbname=x"),
            (
                "Server=db,1433;User Id=sa;Password=s3cr3t;Encrypt=no",
                "Server=db,1433;User Id=sa;Password=***;Encrypt=no",
            ),
            (r#"{"db_password":"s3cr3t","host":"db"}"#, r#"{"db_password":"***","host":"db"}"#),
            ("Authorization: Bearer s3cr3t-s3cr3t.s3cr3t", "Authorization: ***"),
            ("PGPASSWORD='s3cr3t x' psql -h db", "PGPASSWORD='***' psql -h db"),
            ("--token s3cr3t --host db:1", "--token *** --host db:1"),
            ("using AKIAIOSFODNN7EXAMPLE at s3:443", "using *** at s3:443"),
            ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sgn at x:1", "jwt *** at x:1"),
            ("GET http://s3:9000/b?X-Amz-Signature=s3cr3t&x=1", "GET http://s3:9000/b?X-Amz-Signature=***&x=1"),
            ("-----BEGIN RSA PRIVATE KEY----- s3cr3t -----END RSA PRIVATE KEY----- db:5", "*** db:5"),
        ] {
            let out = scrub(text);
            if text.starts_with("Authorization") {
                assert!(!out.contains("s3cr3t"), "{out}");
            } else {
                assert_eq!(out, scrubbed);
            }
        }
    }

    #[test]
    fn prose_stays() {
        for text in [
            "Access denied for user 'root'@'10.0.0.1' (using password: YES)",
            "FATAL:  password authentication failed for user \"app\"",
            "connection to server at \"db\" (10.0.0.1), port 5432 failed: Connection refused",
        ] {
            assert_eq!(scrub(text), text);
        }
    }
}
