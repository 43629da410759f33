//! What a client of `ringseal listen --metrics` asks for, read within limits.

use std::io;

use httparse::{EMPTY_HEADER, Error, Status};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest head of a request, in bytes.
pub const MAX_HEAD: usize = 8 * 1024;
/// The most fields in it.
pub const MAX_FIELDS: usize = 64;

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// GET.
    Get {
        /// Of the metrics, or of something else.
        is_metrics: bool,
    },
    /// Something else than GET.
    OtherMethod,
    /// Its head is longer than we read.
    TooLong,
    /// It is no HTTP.
    Malformed,
}

/// Reads the head of a request, and no byte beyond what it takes to know; `None` if the client goes
/// before that.
///
/// # Errors
///
/// What reading from the client says.
pub async fn read(client: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Request>> {
    let mut head = [0; MAX_HEAD];
    let mut filled = 0;
    loop {
        let count = client.read(&mut head[filled..]).await?;
        if count == 0 {
            return Ok(None);
        }
        filled += count;
        if let Some(request) = parse(&head[..filled]) {
            return Ok(Some(request));
        }
        if filled == MAX_HEAD {
            return Ok(Some(Request::TooLong));
        }
    }
}

/// Reads what has come of a head; `None` as long as more has to come.
#[must_use]
pub fn parse(head: &[u8]) -> Option<Request> {
    let mut fields = [EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(head) {
        Ok(Status::Partial) => None,
        Ok(Status::Complete(_)) if request.method != Some("GET") => Some(Request::OtherMethod),
        Ok(Status::Complete(_)) => {
            let target = request.path.unwrap_or_default();
            let path = target.split('?').next();
            Some(Request::Get {
                is_metrics: path == Some("/metrics"),
            })
        }
        Err(Error::TooManyHeaders) => Some(Request::TooLong),
        Err(_) => Some(Request::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart() {
        let get = |is_metrics| Some(Request::Get { is_metrics });
        for (head, request) in [
            ("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", get(true)),
            ("GET /metrics?name=a HTTP/1.0\r\n\r\n", get(true)),
            ("GET / HTTP/1.1\r\n\r\nmore", get(false)),
            ("GET /metricsx HTTP/1.1\r\n\r\n", get(false)),
            (
                "POST /metrics HTTP/1.1\r\nContent-Length: 9\r\n\r\n",
                Some(Request::OtherMethod),
            ),
            ("\u{16}\u{3}\u{1}", Some(Request::Malformed)),
            ("GET /metrics HTTP/9.9\r\n\r\n", Some(Request::Malformed)),
            ("GET /metrics HTTP/1.1\r\nHost", None),
            ("", None),
        ] {
            assert_eq!(parse(head.as_bytes()), request, "{head:?}");
        }
        let many = "a: b\r\n".repeat(MAX_FIELDS + 1);
        let head = format!("GET /metrics HTTP/1.1\r\n{many}\r\n");
        assert_eq!(parse(head.as_bytes()), Some(Request::TooLong));
    }
}
