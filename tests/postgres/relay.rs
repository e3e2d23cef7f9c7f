//! Between the store and PostgreSQL: breaks the connection at COMMIT.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;

use anyhow::Result;

/// What becomes of the next COMMIT.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum Next {
    /// It goes through.
    Pass,
    /// It is lost on the way.
    Lost,
    /// It is done and the answer is lost.
    Unanswered,
}

pub(super) struct Relay {
    pub(super) port: u16,
    next: Arc<AtomicU8>,
}

impl Relay {
    pub(super) fn to(port: u16) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let relay = Self {
            port: listener.local_addr()?.port(),
            next: Arc::new(AtomicU8::new(Next::Pass as u8)),
        };
        let next = Arc::clone(&relay.next);
        // Ends with the process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if let Ok(server) = TcpStream::connect(("127.0.0.1", port)) {
                    connect(client, server, Arc::clone(&next));
                }
            }
        });
        Ok(relay)
    }

    pub(super) fn at_next_commit(&self, next: Next) {
        self.next.store(next as u8, Ordering::SeqCst);
    }
}

fn connect(client: TcpStream, server: TcpStream, next: Arc<AtomicU8>) {
    let (Ok(mut from_client), Ok(mut to_server)) = (client.try_clone(), server.try_clone()) else {
        return;
    };
    let (mut from_server, mut to_client) = (server, client);
    let (answers, closing) = (to_client.try_clone(), to_client.try_clone());
    thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(length @ 1..) = from_client.read(&mut buffer) {
            let sent = &buffer[..length];
            if sent.windows(7).any(|window| window == b"COMMIT\0") {
                match next.swap(Next::Pass as u8, Ordering::SeqCst) {
                    lost if lost == Next::Lost as u8 => break,
                    unanswered if unanswered == Next::Unanswered as u8 => {
                        // The answer finds nobody.
                        if let Ok(answers) = answers {
                            let _ = answers.shutdown(Shutdown::Both);
                        }
                        let _ = to_server.write_all(sent);
                        return;
                    }
                    _ => {}
                }
            }
            if to_server.write_all(sent).is_err() {
                break;
            }
        }
        let _ = to_server.shutdown(Shutdown::Both);
        if let Ok(client) = closing {
            let _ = client.shutdown(Shutdown::Both);
        }
    });
    thread::spawn(move || {
        // Reads on when nobody listens, so that the server can end its work.
        let mut buffer = vec![0; 1 << 16];
        while let Ok(length @ 1..) = from_server.read(&mut buffer) {
            let _ = to_client.write_all(&buffer[..length]);
        }
        let _ = to_client.shutdown(Shutdown::Both);
    });
}
