//! Names of issuers and origins.

use std::fmt;

use super::TokenError;

/// A server's name as challenges have it: a host and a port or none (RFC 9577
/// §2.1.1.1), without the literals of IP version 6.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerName(String);

impl ServerName {
    /// Most bytes: a host of 253 and a port.
    pub const MAX_LEN: usize = 253 + 6;

    /// Checks a name; letters keep their case.
    ///
    /// # Errors
    /// [`TokenError::Name`].
    pub fn new(name: &str) -> Result<Self, TokenError> {
        let (host, port) = match name.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (name, None),
        };
        let in_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
        let host_fits = !host.is_empty() && host.len() <= 253 && host.bytes().all(in_host);
        let port_fits = port.is_none_or(|port| {
            port.bytes().all(|byte| byte.is_ascii_digit())
                && !port.starts_with('0')
                && port.parse::<u16>().is_ok()
        });
        if host_fits && port_fits {
            Ok(Self(name.to_owned()))
        } else {
            Err(TokenError::Name)
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
