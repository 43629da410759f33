//! Messages behind a 4-byte length on any byte stream: what people write by hand on top of TCP
//! and TLS.

use std::io::{self, IoSlice};

use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufStream,
};

use crate::tokio_peer::Link;

/// A quarter of it costs more processor time for each byte from 64 KiB messages on.
pub(crate) const READ_BUFFER: usize = 256 * 1024;

/// Room for a whole batch of 256 KiB and its lengths, so that it leaves in one write.
pub(crate) const WRITE_BUFFER: usize = READ_BUFFER + 4096;

/// A stream of framed messages, buffered in both directions.
pub(crate) struct Framed<S> {
    stream: BufStream<S>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Framed<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream: BufStream::with_capacity(READ_BUFFER, WRITE_BUFFER, stream),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link for Framed<S> {
    async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let length = u32::try_from(message.len()).map_err(io::Error::other)?;
        let header = length.to_be_bytes();
        // Together, so that a message too long for the buffer takes its length along instead of
        // sending it ahead on its own.
        let mut parts = [IoSlice::new(&header), IoSlice::new(message)];
        let mut rest = &mut parts[..];
        while !rest.is_empty() {
            let written = self.stream.write_vectored(rest).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            IoSlice::advance_slices(&mut rest, written);
        }
        Ok(())
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.stream.flush().await
    }

    async fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<Option<usize>> {
        if self.stream.fill_buf().await?.is_empty() {
            return Ok(None);
        }
        let length = usize::try_from(self.stream.read_u32().await?).map_err(io::Error::other)?;
        if buffer.len() < length {
            buffer.resize(length, 0);
        }
        self.stream.read_exact(&mut buffer[..length]).await?;
        Ok(Some(length))
    }

    async fn close(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }
}
