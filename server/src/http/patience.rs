//! A connection that ends when its peer is silent.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// Reads from `inner` fail when nothing came for a time.
///
/// hyper's own limits begin when it has seen the first bytes of a request: a
/// peer that sends none, or holds an idle HTTP/2 connection, would stay.
pub(super) struct Patient<S> {
    inner: S,
    silence: Pin<Box<Sleep>>,
    later: Duration,
}

impl<S> Patient<S> {
    /// Waits for `first` to begin with, for `later` after each read.
    pub(super) fn new(inner: S, first: Duration, later: Duration) -> Self {
        Self {
            inner,
            silence: Box::pin(sleep(first)),
            later,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.inner).poll_read(cx, buffer);
        if read.is_ready() {
            let until = Instant::now() + self.later;
            self.silence.as_mut().reset(until);
            return read;
        }
        match self.silence.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn silence_ends_it_and_bytes_keep_it() {
        let (mut peer, ours) = duplex(64);
        let mut patient = Patient::new(ours, Duration::from_millis(200), Duration::from_millis(50));
        peer.write_all(b"a").await.unwrap();
        assert_eq!(patient.read_u8().await.unwrap(), b'a');
        let begun = Instant::now();
        let error = patient.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(
            begun.elapsed() < Duration::from_millis(200),
            "the later time counts after a read"
        );
        let (_peer, ours) = duplex(64);
        let mut patient = Patient::new(ours, Duration::from_millis(20), Duration::from_secs(60));
        assert_eq!(
            patient.read_u8().await.unwrap_err().kind(),
            io::ErrorKind::TimedOut
        );
    }
}
