//! What the live probe and the agent say to each other survives the way there and back, and nothing that comes back
//! from a cluster makes the reader panic or believe a damaged line.

use std::net::IpAddr;

use netcheck::probe_record::{self, Class, Counter, Detail, Line, MESSAGE_LIMIT, Message, Record, Step};
use netcheck::probe_target::{self, Dial, Host, Protocol, Talk, Target};
use proptest::prelude::*;

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u8; 16]>().prop_map(IpAddr::from)]
}

fn detail() -> impl Strategy<Value = Detail> {
    prop_oneof![
        Just(Detail::None),
        (any::<bool>(), any::<u8>(), any::<u8>(), prop::option::of(address()))
            .prop_map(|(v6, kind, code, from)| Detail::Icmp { v6, kind, code, from }),
        any::<u16>().prop_map(Detail::Errno),
        any::<u16>().prop_map(Detail::Http),
        any::<u8>().prop_map(Detail::TlsAlert),
        Just(Detail::NotTls),
        Just(Detail::Closed),
        Just(Detail::Answered),
        any::<u8>().prop_map(Detail::Rcode),
        any::<(u8, u8)>().prop_map(|(search, addresses)| Detail::Resolved { search, addresses }),
        any::<u16>().prop_map(Detail::Port),
    ]
}

fn line() -> impl Strategy<Value = Line> {
    let step = prop::sample::select(vec![Step::Control, Step::ServerUdp, Step::ServerTcp, Step::Name, Step::Probe]);
    let class = prop::sample::select(Class::ALL.to_vec());
    let record = (step, any::<u16>(), class, any::<u32>(), any::<u8>(), prop::option::of(address()), detail())
        .prop_map(|(step, index, class, millis, tries, address, detail)| {
            Line::Result(Record { step, index, class, millis, tries, address, detail })
        });
    let counter = ("[!-~]{1,64}", any::<i64>())
        .prop_filter_map("a name that fits", |(name, delta)| Counter::new(name, delta).map(Line::Counter));
    prop_oneof![4 => record, 1 => counter]
}

fn message() -> impl Strategy<Value = Message> {
    (any::<u32>(), any::<u32>(), prop::collection::vec(line(), 0..80)).prop_map(|(batch, millis, lines)| Message {
        batch,
        millis,
        lines,
    })
}

fn name() -> impl Strategy<Value = String> {
    "[a-z_]([a-z0-9-]{0,20}[a-z0-9])?(\\.[a-z0-9]{1,10}){0,4}\\.?"
}

fn talk(protocol: Protocol) -> BoxedStrategy<Talk> {
    let dns = prop::option::of(name()).prop_map(Talk::Dns);
    match protocol {
        Protocol::Tcp => prop_oneof![
            Just(Talk::Nothing),
            prop::option::of(name()).prop_map(Talk::Tls),
            "/[!-*,-~]{0,40}".prop_map(Talk::Http),
            dns
        ]
        .boxed(),
        Protocol::Udp => prop_oneof![Just(Talk::Nothing), dns].boxed(),
        Protocol::Sctp => Just(Talk::Nothing).boxed(),
    }
}

fn target() -> impl Strategy<Value = Target> {
    let host = || prop_oneof![address().prop_map(Host::Address), name().prop_map(Host::Name)];
    let protocol = prop::sample::select(vec![Protocol::Tcp, Protocol::Udp, Protocol::Sctp]);
    let dialled = (host(), protocol, 1..=u16::MAX)
        .prop_flat_map(|(host, protocol, port)| {
            talk(protocol).prop_map(move |talk| (host.clone(), Dial { protocol, port, talk }))
        })
        .prop_map(|(host, dial)| Target { host, dial: Some(dial) });
    prop_oneof![
        5 => dialled,
        1 => name().prop_map(|name| Target { host: Host::Name(name), dial: None })
    ]
}

proptest! {
    #[test]
    fn a_message_comes_back_as_it_was(message in message()) {
        let report = probe_record::decode(&message.encode()).expect("a header");
        prop_assert_eq!(report.missing(), 0);
        prop_assert_eq!(report.batch, message.batch);
        prop_assert_eq!(report.millis, message.millis);
        prop_assert_eq!(report.lines, message.lines);
    }

    #[test]
    fn a_message_within_a_limit_says_what_is_missing(message in message(), limit in 100usize..3000) {
        let text = message.encode_within(limit);
        prop_assert!(text.len() <= limit);
        let report = probe_record::decode(&text).expect("a header");
        prop_assert_eq!(report.total, message.lines.len());
        prop_assert_eq!(report.lines.len(), report.written);
        prop_assert!(report.lines.iter().all(|line| message.lines.contains(line)));
        let failures = |lines: &[Line]| {
            lines.iter().filter(|l| matches!(l, Line::Result(r) if !r.class.is_open())).count()
        };
        let counters = |lines: &[Line]| lines.iter().filter(|l| matches!(l, Line::Counter(_))).count();
        // The first counters go before everything, failures before all that is left.
        let others = report.lines.len() - failures(&report.lines) - counters(&report.lines);
        if others > 0 || counters(&report.lines) > 24 {
            prop_assert_eq!(failures(&report.lines), failures(&message.lines));
        }
        if report.lines.len() > counters(&report.lines) {
            prop_assert!(counters(&report.lines) >= counters(&message.lines).min(24));
        }
    }

    #[test]
    fn a_message_cut_short_yields_its_whole_lines(message in message(), keep in 0.0f64..1.0) {
        let text = message.encode();
        let cut = &text[..(text.len() as f64 * keep) as usize];
        if let Some(report) = probe_record::decode(cut) {
            let whole = cut.lines().count().saturating_sub(usize::from(!cut.ends_with('\n')));
            prop_assert!(report.lines.len() + 1 >= whole);
            prop_assert_eq!(&report.lines[..], &message.lines[..report.lines.len()]);
            prop_assert_eq!(report.missing(), message.lines.len() - report.lines.len());
        }
    }

    #[test]
    fn a_changed_letter_is_noticed(
        message in message().prop_filter("has lines", |m| !m.lines.is_empty()),
        at in any::<prop::sample::Index>(),
        with in b'!'..=b'~',
    ) {
        let mut bytes = message.encode().into_bytes();
        let first = bytes.iter().position(|b| *b == b'\n').expect("a header") + 1;
        let at = first + at.index(bytes.len() - first);
        prop_assume!(bytes[at] != b'\n' && bytes[at] != with);
        bytes[at] = with;
        let report = probe_record::decode(&String::from_utf8(bytes).expect("ascii")).expect("a header");
        prop_assert_eq!(report.missing(), 1);
        prop_assert!(report.lines.iter().all(|line| message.lines.contains(line)));
    }

    #[test]
    fn text_from_elsewhere_is_read_without_a_panic(text in any::<String>()) {
        prop_assert_eq!(probe_record::decode(&text), None);
        let _ = probe_target::decode_batch(&text);
        let _ = text.parse::<Target>();
    }

    #[test]
    fn lines_that_look_like_ours_are_read_without_a_panic(
        text in "(netcheck1|p|u|t|d|c|v)( (-|[0-9]{1,22}|open|timeout|fd00::1|icmp6-[0-9.]{0,5}@?|search|errno[0-9]{0,9})){0,8}"
    ) {
        let header = "netcheck1 00000000 1 1 0";
        let [first, second] = [header, &text].map(probe_record::line_checksum);
        let report = probe_record::decode(&format!("{header} #{first}\n{text} #{second}\n"));
        prop_assert!(report.is_some_and(|report| report.lines.len() <= report.written));
    }

    #[test]
    fn a_batch_comes_back_as_it_was(targets in prop::collection::vec(target(), 0..40)) {
        let back = probe_target::decode_batch(&probe_target::encode_batch(&targets)).expect("a batch");
        prop_assert_eq!(probe_target::batch_number(&back), probe_target::batch_number(&targets));
        prop_assert_eq!(back, targets);
    }
}

#[test]
fn a_log_with_other_lines_and_an_earlier_run_is_read() {
    let record = |index| {
        Line::Result(Record {
            step: Step::Probe,
            index,
            class: Class::Open,
            millis: 1,
            tries: 1,
            address: None,
            detail: Detail::None,
        })
    };
    let earlier = Message { batch: 1, millis: 1, lines: vec![record(0)] };
    let last = Message { batch: 2, millis: 1, lines: vec![record(1), record(2)] };
    let log = format!("starting\n{}\u{1b}[31mnoise\n{}done\n", earlier.encode(), last.encode().replace('\n', "\r\n"));
    let report = probe_record::decode(&log).expect("a header");
    assert_eq!((report.batch, &report.lines), (2, &last.lines));
}

#[test]
fn ninety_failures_fit_one_termination_message() {
    let lines = (0..90)
        .map(|index| {
            Line::Result(Record {
                step: Step::Probe,
                index,
                class: Class::Timeout,
                millis: 6012,
                tries: 2,
                address: Some(IpAddr::from([10, 244, 100, index as u8])),
                detail: Detail::None,
            })
        })
        .collect();
    let text = Message { batch: 0, millis: 6100, lines }.encode();
    assert!(text.len() <= MESSAGE_LIMIT, "{} bytes", text.len());
}

#[test]
fn targets_that_make_no_sense_are_refused_with_the_reason() {
    for (text, why) in [
        ("tcp:10.0.0.1", "expected a port"),
        ("tcp:10.0.0.1:0", "from 1 to 65535"),
        ("tcp:10.0.0.1:65536", "from 1 to 65535"),
        ("tcp:10.0.0.1:+80", "from 1 to 65535"),
        ("tcp:fd00::1:80", "brackets"),
        ("tcp:[10.0.0.1]:80", "not an IPv6 address"),
        ("tcp:10.0.0.999:80", "not a host name"),
        ("tcp:-\u{1b}[2J:80", "not a host name"),
        ("tcp:a..b:80", "not a host name"),
        ("tcp::80", "not a host name"),
        ("icmp:10.0.0.1:80", "protocol"),
        ("10.0.0.1:80", "protocol"),
        ("udp:a:53+tls", "does not go with"),
        ("sctp:a:53+dns", "does not go with"),
        ("tcp:a:53+tls+http", "only one"),
        ("tcp:a:53+ftp", "the options are"),
        ("tcp:a:80+http=index", "start with `/`"),
        ("dns:a+tls", "no options"),
    ] {
        let error = text.parse::<Target>().expect_err(text).to_string();
        assert!(error.contains(why), "{text}: {error}");
        assert!(!error.contains('\u{1b}'), "{error:?}");
    }
}
