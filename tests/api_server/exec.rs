//! Exec over a WebSocket, subprotocol v5.channel.k8s.io: channel 0 is standard input, 1 output, 2 errors, 3 the end.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::{Message, Role, WebSocket};

use super::{Called, Shell};

/// Runs the command that is asked for until it ends.
pub(super) fn serve(mut stream: TcpStream, key: &str, path: &str, query: &[(String, String)], shell: &Shell) {
    let accept = derive_accept_key(key.as_bytes());
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n"
    );
    if stream.write_all(head.as_bytes()).is_err() {
        return;
    }
    let _ = stream.set_read_timeout(Some(Duration::from_millis(10)));
    let mut socket = WebSocket::from_raw_socket(stream, Role::Server, None);
    let words: Vec<String> = query.iter().filter(|(name, _)| name == "command").map(|(_, v)| v.clone()).collect();
    let container = query.iter().find(|(name, _)| name == "container").map_or("", |(_, v)| v.as_str());
    let pod = path.rsplit('/').nth(1).unwrap_or_default();
    let called = Called { pod, container, words: &words };
    let spawned = shell(&called).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            let message = format!("exec: \"{}\": executable file not found in $PATH: {error}", words.join(" "));
            return end(&mut socket, &json!({"status": "Failure", "reason": "InternalError", "message": message}));
        }
    };
    let mut stdin = child.stdin.take();
    let (sender, received) = mpsc::channel::<Vec<u8>>();
    for (channel, pipe) in [
        (1u8, Box::new(child.stdout.take().expect("a pipe")) as Box<dyn Read + Send>),
        (2, Box::new(child.stderr.take().expect("a pipe"))),
    ] {
        let sender = sender.clone();
        thread::spawn(move || forward(channel, pipe, &sender));
    }
    drop(sender);
    loop {
        match socket.read() {
            Ok(Message::Binary(data)) if data.first() == Some(&0) => {
                if let Some(stdin) = &mut stdin {
                    let _ = stdin.write_all(&data[1..]);
                }
            }
            Ok(_) => {}
            Err(tungstenite::Error::Io(error))
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => {
                let _ = child.kill();
                return;
            }
        }
        loop {
            match received.try_recv() {
                Ok(data) => {
                    let _ = socket.send(Message::Binary(data.into()));
                }
                Err(mpsc::TryRecvError::Empty) => break,
                Err(mpsc::TryRecvError::Disconnected) => {
                    let code = child.wait().ok().and_then(|s| s.code()).unwrap_or(-1);
                    let status = if code == 0 {
                        json!({"status": "Success"})
                    } else {
                        json!({"status": "Failure", "reason": "NonZeroExitCode", "message": format!("command terminated with non-zero exit code {code}")})
                    };
                    return end(&mut socket, &status);
                }
            }
        }
    }
}

fn forward(channel: u8, mut pipe: Box<dyn Read + Send>, to: &mpsc::Sender<Vec<u8>>) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = pipe.read(&mut buffer) {
        let mut data = vec![channel];
        data.extend(&buffer[..length]);
        if to.send(data).is_err() {
            return;
        }
    }
}

fn end(socket: &mut WebSocket<TcpStream>, status: &Value) {
    let mut data = vec![3];
    data.extend(status.to_string().into_bytes());
    let _ = socket.send(Message::Binary(data.into()));
    let _ = socket.close(None);
    for _ in 0..50 {
        if socket
            .read()
            .is_err_and(|e| !matches!(e, tungstenite::Error::Io(ref io) if io.kind() == ErrorKind::WouldBlock))
        {
            return;
        }
    }
}
