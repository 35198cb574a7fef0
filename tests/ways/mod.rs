//! What may stand on the way to an API server: TLS, and proxies. Each runs in threads of the test and ends with it.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

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

impl Certificates {
    /// None where there is no `openssl`.
    pub fn make() -> Option<Self> {
        let directory = tempfile::tempdir().expect("a directory");
        let openssl = |args: &[&str]| {
            let run = Command::new("openssl").args(args).current_dir(&directory).stdin(Stdio::null()).output();
            run.is_ok_and(|run| run.status.success())
        };
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
        let authority = ["req", "-x509", "-days", "2", "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.crt"];
        let server = ["req", "-new", "-subj", "/CN=server", "-keyout", "server.key", "-out", "server.csr"];
        std::fs::write(directory.path().join("names"), "subjectAltName=IP:127.0.0.1,DNS:api.test\n").expect("a file");
        let signed = [
            ["x509", "-req", "-days", "2", "-in", "server.csr", "-CA", "ca.crt"].as_slice(),
            &["-CAkey", "ca.key", "-set_serial", "1", "-extfile", "names", "-out", "server.crt"],
        ]
        .concat();
        let made =
            openssl(&[&authority[..], &key].concat()) && openssl(&[&server[..], &key].concat()) && openssl(&signed);
        if !made {
            eprintln!("skipped: no openssl that makes certificates");
        }
        made.then_some(Self { directory })
    }

    /// The authority's certificate.
    pub fn authority(&self) -> PathBuf {
        self.directory.path().join("ca.crt")
    }

    fn config(&self) -> ServerConfig {
        let file = |name: &str| self.directory.path().join(name);
        let certificate = CertificateDer::from_pem_file(file("server.crt")).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(file("server.key")).expect("a key");
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("they belong together")
    }

    /// Speaks TLS for a server that doesn't.
    pub fn before(&self, port: u16) -> u16 {
        let config = Arc::new(self.config());
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
        })
    }
}

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
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let kept = asked.clone();
        let port = listen(move |mut stream| {
            let mut read = |length: usize| {
                let mut bytes = vec![0; length];
                stream.read_exact(&mut bytes).map(|()| bytes)
            };
            let Ok(hello) = read(2) else { return };
            if read(usize::from(hello[1])).is_err() || stream.write_all(&[5, 0]).is_err() {
                return;
            }
            let mut read = |length: usize| {
                let mut bytes = vec![0; length];
                stream.read_exact(&mut bytes).map(|()| bytes)
            };
            let Ok(head) = read(5) else { return };
            assert_eq!(head[..4], [5, 1, 0, 3], "a connection to a name");
            let Ok(rest) = read(usize::from(head[4]) + 2) else { return };
            let (name, port) = rest.split_at(rest.len() - 2);
            let port = u16::from_be_bytes([port[0], port[1]]);
            kept.lock().expect("no panic").push(format!("{}:{port}", String::from_utf8_lossy(name)));
            if stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).is_ok() {
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
    let path = directory.join("config");
    let lines: String = cluster.lines().map(|line| format!("    {line}\n")).collect();
    let text = format!(
        "current-context: test\nclusters:\n- name: c\n  cluster:\n    server: {server}\n{lines}\
         contexts:\n- name: test\n  context: {{cluster: c, user: u, namespace: shop}}\nusers:\n- name: u\n  user: {{token: t}}\n"
    );
    std::fs::write(&path, text).expect("a kubeconfig");
    path
}
