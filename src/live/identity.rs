//! The client certificate that a kubeconfig gives its user: until when it counts. Nothing here decides whether it is sent;
//! it tells why a server refused it, which an API server itself keeps to its log.

use kube::config::AuthInfo;

/// A client certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// The end of its validity, in seconds since 1970, and as text (RFC 3339).
    until: Option<(i64, String)>,
}

impl Identity {
    /// What the user of a kubeconfig has; the data count before the file, as client-go has it.
    pub(super) fn of(user: &AuthInfo) -> Option<Self> {
        let pem = match (&user.client_certificate_data, &user.client_certificate) {
            (Some(data), _) => crate::probe_target::from_base64(data.trim()),
            (None, Some(path)) => std::fs::read(path).ok(),
            (None, None) => return None,
        };
        // The first of a chain is the user's own (RFC 8446, 4.4.2).
        let first = pem.and_then(|pem| pem::parse_many(pem).ok());
        let first = first.and_then(|all| all.into_iter().find(|p| p.tag() == "CERTIFICATE"));
        let text = first.and_then(|p| not_after(p.contents()));
        Some(Self { until: text.and_then(|text| Some((crate::analysis::why::seconds(&text)?, text))) })
    }

    /// When it ended, if that was before now.
    pub(super) fn expired(&self, now: i64) -> Option<&str> {
        self.until.as_ref().filter(|(end, _)| *end < now).map(|(_, text)| text.as_str())
    }
}

/// `validity.notAfter` of a certificate in DER (RFC 5280, 4.1).
fn not_after(certificate: &[u8]) -> Option<String> {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xa0;
    let mut fields = inside(inside(certificate, SEQUENCE)?, SEQUENCE)?;
    if fields.first() == Some(&VERSION) {
        fields = skip(fields)?;
    }
    // The serial number, the algorithm, the issuer.
    for _ in 0..3 {
        fields = skip(fields)?;
    }
    let (tag, time, _) = element(skip(inside(fields, SEQUENCE)?)?)?;
    let time = std::str::from_utf8(time).ok()?.strip_suffix('Z')?;
    // UTCTime has two digits of the year, GeneralizedTime four (4.1.2.5).
    let (century, length) = match (tag, time.get(..2)?) {
        (0x17, year) if year < "50" => ("20", 12),
        (0x17, _) => ("19", 12),
        (0x18, _) => ("", 14),
        _ => return None,
    };
    if time.len() != length || !time.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let time = format!("{century}{time}");
    let part = |from: usize| &time[from..from + 2];
    Some(format!("{}-{}-{}T{}:{}:{}Z", &time[..4], part(4), part(6), part(8), part(10), part(12)))
}

/// The content of the first element, where it is of this tag.
fn inside(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    element(bytes).filter(|(found, ..)| *found == tag).map(|(_, content, _)| content)
}

/// What comes after the first element.
fn skip(bytes: &[u8]) -> Option<&[u8]> {
    element(bytes).map(|(.., rest)| rest)
}

/// The first element of some DER: its tag, its content, and what comes after it (X.690, 8.1).
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // In so many bytes more; certificates are not of 4 GiB.
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0usize, |sum, digit| sum << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A certificate as far as its validity, each element shorter than 128 bytes.
    fn certificate(not_after: (u8, &str)) -> Vec<u8> {
        let of = |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()], content].concat();
        let validity = [of(0x17, b"250101000000Z"), of(not_after.0, not_after.1.as_bytes())].concat();
        let fields = [of(0xa0, &of(2, &[2])), of(2, &[1]), of(0x30, &[]), of(0x30, &[]), of(0x30, &validity)].concat();
        of(0x30, &of(0x30, &fields))
    }

    #[test]
    fn the_end_of_a_certificate() {
        let end = |tag, text| not_after(&certificate((tag, text)));
        assert_eq!(end(0x17, "261126065853Z").as_deref(), Some("2026-11-26T06:58:53Z"));
        assert_eq!(end(0x17, "991231235959Z").as_deref(), Some("1999-12-31T23:59:59Z"));
        assert_eq!(end(0x18, "20500101000000Z").as_deref(), Some("2050-01-01T00:00:00Z"));
        for (tag, text) in [(0x18, "261126065853Z"), (0x17, "2611260658Z"), (0x17, "26112606585éZ"), (0x04, "x")] {
            assert_eq!(end(tag, text), None, "{text}");
        }
        let whole = certificate((0x17, "261126065853Z"));
        for cut in 0..whole.len() {
            assert_eq!(not_after(&whole[..cut]), None, "{cut}");
        }
        assert_eq!(not_after(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0]), None);
    }
}
