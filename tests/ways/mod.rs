//! What may stand on the way to an API server: TLS, and proxies. Each runs in threads of the test and ends with it.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

/// Listens, and gives each connection to a thread.
fn listen(each: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let each = Arc::new(each);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let each = each.clone();
            std::thread::spawn(move || each(stream));
        }
    });
    port
}

/// A certificate for 127.0.0.1 and `api.test`, and the authority that signed it, made by `openssl`.
pub struct Certificates {
    directory: tempfile::TempDir,
}

/// What a server makes of the certificates of its clients.
#[derive(Clone, Copy, PartialEq)]
pub enum Clients {
    /// It asks for none.
    Any,
    /// It takes them from the authority alone, and no client without one.
    Known,
}

impl Certificates {
    /// None where there is no `openssl`.
    pub fn make() -> Option<Self> {
        Self::of("authority", 2)
    }

    /// The same by an authority of this name, with a server's certificate of so many days, which may be over.
    pub fn of(authority: &str, days: i32) -> Option<Self> {
        let made = Self { directory: tempfile::tempdir().expect("a directory") };
        let subject = format!("/CN={authority}");
        let authority = ["req", "-x509", "-days", "2", "-subj", &subject, "-keyout", "ca.key", "-out", "ca.crt"];
        let names = "subjectAltName=IP:127.0.0.1,DNS:api.test\n";
        std::fs::write(made.directory.path().join("names"), names).expect("a file");
        if made.openssl(&[&authority[..], &KEY].concat()) && made.sign("server", days) {
            return Some(made);
        }
        eprintln!("skipped: no openssl that makes certificates");
        None
    }

    fn openssl(&self, args: &[&str]) -> bool {
        let run = Command::new("openssl").args(args).current_dir(&self.directory).stdin(Stdio::null()).output();
        run.is_ok_and(|run| run.status.success())
    }

    /// Signs a certificate of a new key, for so many days from now.
    fn sign(&self, name: &str, days: i32) -> bool {
        let [subject, key, request] = [format!("/CN={name}"), format!("{name}.key"), format!("{name}.csr")];
        let (certificate, days) = (format!("{name}.crt"), days.to_string());
        let asked = ["req", "-new", "-subj", &subject, "-keyout", &key, "-out", &request];
        let signed = [
            ["x509", "-req", "-days", &days, "-in", &request, "-CA", "ca.crt"].as_slice(),
            &["-CAkey", "ca.key", "-set_serial", "1", "-extfile", "names", "-out", &certificate],
        ]
        .concat();
        self.openssl(&[&asked[..], &KEY].concat()) && self.openssl(&signed)
    }

    /// A client's certificate and its key, for so many days from now.
    pub fn client(&self, name: &str, days: i32) -> (PathBuf, PathBuf) {
        assert!(self.sign(name, days), "openssl made the others");
        let file = |name: String| self.directory.path().join(name);
        (file(format!("{name}.crt")), file(format!("{name}.key")))
    }

    /// A file's content as a kubeconfig has it in itself.
    pub fn data(&self, file: &Path) -> String {
        let run = Command::new("openssl").args(["base64", "-A", "-in"]).arg(file).output().expect("openssl");
        String::from_utf8(run.stdout).expect("base64")
    }

    /// The authority's certificate.
    pub fn authority(&self) -> PathBuf {
        self.directory.path().join("ca.crt")
    }

    fn config(&self, clients: Clients) -> ServerConfig {
        let file = |name: &str| self.directory.path().join(name);
        let certificate = CertificateDer::from_pem_file(file("server.crt")).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(file("server.key")).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("versions");
        let clients = match clients {
            Clients::Any => versions.with_no_client_auth(),
            Clients::Known => {
                let mut authority = RootCertStore::empty();
                authority
                    .add(CertificateDer::from_pem_file(self.authority()).expect("a certificate"))
                    .expect("it is one");
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authority), provider).build();
                versions.with_client_cert_verifier(verifier.expect("a verifier"))
            }
        };
        clients.with_single_cert(vec![certificate], key).expect("they belong together")
    }

    /// Speaks TLS for a server that doesn't.
    pub fn before(&self, port: u16) -> u16 {
        self.before_for(port, Clients::Any)
    }

    /// The same, for clients of some kind.
    pub fn before_for(&self, port: u16, clients: Clients) -> u16 {
        let config = Arc::new(self.config(clients));
        listen(move |stream| {
            let Ok(connection) = ServerConnection::new(config.clone()) else { return };
            let Ok(upstream) = TcpStream::connect(("127.0.0.1", port)) else { return };
            // A request comes, then its answer goes: each side is listened to in its turn.
            for side in [&stream, &upstream] {
                side.set_read_timeout(Some(Duration::from_millis(5))).expect("a time-out");
            }
            let (mut near, mut far) = (StreamOwned::new(connection, stream), upstream);
            while pass(&mut near, &mut far) && pass(&mut far, &mut near) {}
            near.conn.send_close_notify();
            let _ = near.flush();
            let _ = far.shutdown(Shutdown::Both);
            // What is closed with something unread in it takes back what it has sent.
            let mut left = near.sock;
            let _ = left.shutdown(Shutdown::Write);
            let _ = left.set_read_timeout(Some(Duration::from_secs(5)));
            let _ = std::io::copy(&mut left, &mut std::io::sink());
        })
    }
}

/// A new key of `openssl req`.
const KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/// Passes on what there is; false at the end.
fn pass(from: &mut impl Read, to: &mut impl Write) -> bool {
    let mut buffer = vec![0; 1 << 16];
    match from.read(&mut buffer) {
        Ok(0) => false,
        Ok(length) => to.write_all(&buffer[..length]).and_then(|()| to.flush()).is_ok(),
        Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted),
    }
}

/// A proxy that leads to one server whatever it is asked for, and keeps what it was asked for.
pub struct Proxy {
    pub port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// One of HTTP's (RFC 9110, 9.3.6): the request line and the credentials are kept.
    pub fn http(server: u16) -> Self {
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let kept = asked.clone();
        let port = listen(move |mut stream| {
            let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
            let (mut request, mut line) = (String::new(), String::new());
            while reader.read_line(&mut line).is_ok_and(|n| n > 2) {
                if line.starts_with("CONNECT ") || line.to_ascii_lowercase().starts_with("proxy-authorization:") {
                    request.push_str(line.trim_end());
                    request.push('\n');
                }
                line.clear();
            }
            kept.lock().expect("no panic").push(request);
            if stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").is_ok() {
                join(stream, server);
            }
        });
        Self { port, asked }
    }

    /// One that lets nobody through.
    pub fn refusing() -> Self {
        let port = listen(|mut stream| {
            let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|n| n > 2) {
                line.clear();
            }
            let _ = stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
        });
        Self { port, asked: Arc::default() }
    }

    /// One of SOCKS 5 (RFC 1928), for names.
    pub fn socks(server: u16) -> Self {
        Self::socks_for(server, None)
    }

    /// The same for who has this name and this password (RFC 1929) alone.
    pub fn socks_for(server: u16, login: Option<(&'static str, &'static str)>) -> Self {
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let kept = asked.clone();
        let port = listen(move |stream| {
            if let Some((stream, wanted)) = greet(stream, login) {
                kept.lock().expect("no panic").push(wanted);
                join(stream, server);
            }
        });
        Self { port, asked }
    }

    /// What it was asked for.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }
}

/// What a SOCKS 5 proxy says before it passes anything on: the connection, and what it is to lead to.
fn greet(mut stream: TcpStream, login: Option<(&str, &str)>) -> Option<(TcpStream, String)> {
    fn read(stream: &mut TcpStream, length: u8) -> Option<Vec<u8>> {
        let mut bytes = vec![0; usize::from(length)];
        stream.read_exact(&mut bytes).ok().map(|()| bytes)
    }
    fn say(stream: &mut TcpStream, bytes: &[u8]) -> Option<()> {
        stream.write_all(bytes).ok()
    }
    let hello = read(&mut stream, 2)?;
    let methods = read(&mut stream, hello[1])?;
    let method = if login.is_some() { 2 } else { 0 };
    if !methods.contains(&method) {
        say(&mut stream, &[5, 0xff])?;
        return None;
    }
    say(&mut stream, &[5, method])?;
    if let Some((name, password)) = login {
        let mut part = |before: u8| {
            let head = read(&mut stream, before + 1)?;
            read(&mut stream, head[usize::from(before)])
        };
        let good = (part(1)?, part(0)?) == (name.as_bytes().to_vec(), password.as_bytes().to_vec());
        say(&mut stream, &[1, u8::from(!good)])?;
        if !good {
            return None;
        }
    }
    let head = read(&mut stream, 5)?;
    assert_eq!(head[..4], [5, 1, 0, 3], "a connection to a name");
    let name = read(&mut stream, head[4])?;
    let port = read(&mut stream, 2)?;
    say(&mut stream, &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
    Some((stream, format!("{}:{}", String::from_utf8_lossy(&name), u16::from_be_bytes([port[0], port[1]]))))
}

/// Passes everything on, both ways.
fn join(near: TcpStream, server: u16) {
    let Ok(far) = TcpStream::connect(("127.0.0.1", server)) else { return };
    let (Ok(mut near_again), Ok(mut far_again)) = (near.try_clone(), far.try_clone()) else { return };
    let (mut near, mut far) = (near, far);
    let back = std::thread::spawn(move || {
        let _ = std::io::copy(&mut far_again, &mut near_again);
        let _ = near_again.shutdown(Shutdown::Both);
    });
    let _ = std::io::copy(&mut near, &mut far);
    let _ = far.shutdown(Shutdown::Both);
    let _ = back.join();
}

/// A kubeconfig with this server, and these lines about the cluster.
pub fn kubeconfig(directory: &Path, server: &str, cluster: &str) -> PathBuf {
    kubeconfig_as(directory, server, cluster, "token: t")
}

/// The same with these lines about the user.
pub fn kubeconfig_as(directory: &Path, server: &str, cluster: &str, user: &str) -> PathBuf {
    let path = directory.join("config");
    let indented = |lines: &str| lines.lines().map(|line| format!("    {line}\n")).collect::<String>();
    let (cluster, user) = (indented(cluster), indented(user));
    let text = format!(
        "current-context: test\nclusters:\n- name: c\n  cluster:\n    server: {server}\n{cluster}\
         contexts:\n- name: test\n  context: {{cluster: c, user: u, namespace: shop}}\nusers:\n- name: u\n  user:\n{user}"
    );
    std::fs::write(&path, text).expect("a kubeconfig");
    path
}
