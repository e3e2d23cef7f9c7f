//! What goes wrong between the store and PostgreSQL.

/// Why PostgreSQL could not be used. Shows nothing of rows, nor the password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// The URL can't be read.
    #[error(
        "the store's URL is not of the form postgres://user:password@host:port/database?sslmode=verify-full"
    )]
    Url,
    /// The connection can't be made, or broke.
    #[error(
        "no connection to PostgreSQL ({reason}): see that it runs and that the store's URL names it"
    )]
    Unreachable {
        /// What the operating system said.
        reason: String,
    },
    /// TLS can't be agreed upon.
    #[error(
        "no TLS with PostgreSQL ({reason}): see that it has a certificate for the host that the store's URL names, and that store.ca is the one that signed it"
    )]
    Tls {
        /// What failed.
        reason: String,
    },
    /// No connection in time.
    #[error(
        "PostgreSQL gave no connection in time: see that it runs and has connections left (max_connections), or raise store.connections"
    )]
    Busy,
    /// No answer in time.
    #[error(
        "PostgreSQL did not answer a statement in time: see what it is busy with, or raise store.statement_ms"
    )]
    Slow,
    /// PostgreSQL refused.
    #[error("PostgreSQL refused ({code}): {message}")]
    Refused {
        /// Its SQLSTATE.
        code: String,
        /// What it said; empty where that might show data.
        message: String,
    },
    /// PostgreSQL would acknowledge what a crash of its machine loses.
    #[error(
        "PostgreSQL runs with {setting} = off, so it would lose what it acknowledged: turn it on"
    )]
    NotDurable {
        /// Which setting.
        setting: &'static str,
    },
    /// A transaction that failed was used again, or the store was closed.
    #[error("the transaction with PostgreSQL has ended")]
    Ended,
    /// An answer of another form than expected.
    #[error("PostgreSQL answered in an unexpected form: the tables of schema sotto were altered")]
    Form,
}

impl PostgresError {
    /// Whether another transaction got in between: the same may succeed now.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if ["40001", "40P01"].contains(&code.as_str()))
    }

    /// Whether a COMMIT that ended so certainly did nothing. Of everything else
    /// nobody knows: the answer may have been lost after the deed.
    pub(crate) fn is_rollback(&self) -> bool {
        match self {
            // 40003: PostgreSQL doesn't know it either.
            Self::Refused { code, .. } => {
                code.starts_with("23") || code.starts_with("40") && code != "40003"
            }
            _ => false,
        }
    }
}

impl From<sqlx::Error> for PostgresError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            // Its text could quote the URL.
            sqlx::Error::Configuration(_) => Self::Url,
            sqlx::Error::Io(error) => {
                let reason = error.to_string();
                // A certificate that is refused comes as an error of the socket.
                match error.get_ref() {
                    Some(inner) if inner.is::<rustls::Error>() => Self::Tls { reason },
                    _ => Self::Unreachable { reason },
                }
            }
            sqlx::Error::Tls(error) => Self::Tls {
                reason: error.to_string(),
            },
            sqlx::Error::PoolTimedOut => Self::Busy,
            sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => Self::Ended,
            sqlx::Error::Database(error) => {
                let code = error.code().unwrap_or_default().into_owned();
                // Data exceptions and broken constraints quote values.
                let quotes = code.starts_with("22") || code.starts_with("23");
                let message = if quotes { "" } else { error.message() };
                match code.as_str() {
                    "57014" | "55P03" => Self::Slow,
                    _ => Self::Refused {
                        message: message.to_owned(),
                        code,
                    },
                }
            }
            _ => Self::Form,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_certain_rollback_counts_as_one() {
        let refused = |code: &str| PostgresError::Refused {
            code: code.to_owned(),
            message: String::new(),
        };
        for (code, conflict, rollback) in [
            ("40001", true, true),
            ("40P01", true, true),
            ("40003", false, false),
            ("23505", false, true),
            ("57P01", false, false),
            ("58030", false, false),
        ] {
            assert_eq!(refused(code).is_conflict(), conflict, "{code}");
            assert_eq!(refused(code).is_rollback(), rollback, "{code}");
        }
        let lost = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        let lost = PostgresError::from(sqlx::Error::Io(lost));
        assert!(!lost.is_rollback() && !lost.is_conflict());
        assert!(!PostgresError::Slow.is_rollback());
    }
}
