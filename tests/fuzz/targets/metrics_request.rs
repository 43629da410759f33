//! What comes to `ringseal listen --metrics`: any bytes, and heads of requests that are put together.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use ringseal_cli::request::{MAX_FIELDS, MAX_HEAD, Request, parse, read};

use crate::input::Input;

pub(crate) fn metrics_request(data: &[u8]) {
    any(data);
    put_together(Input::new(data));
}

/// However the bytes come, they are the same request, and one is there within the limit.
fn any(data: &[u8]) {
    let whole = parse(data);
    let decided = (0..=data.len()).find_map(|length| parse(&data[..length]));
    assert_eq!(decided, whole, "it depends on how the bytes come");
    assert_eq!(read_all(data), whole);
    if let Some(Request::Get { is_metrics: true }) = whole {
        let start = data.iter().position(|byte| !b"\r\n".contains(byte));
        let target = data[start.unwrap_or(0)..].strip_prefix(b"GET /metrics");
        let next = target.and_then(<[u8]>::first);
        assert!(
            matches!(next, Some(b' ' | b'?')),
            "it asks for something else"
        );
    }
    if !data.is_empty() {
        let long = data.repeat(1 + MAX_HEAD / data.len());
        assert!(
            read_all(&long).is_some(),
            "more is read than the limit says"
        );
    }
}

fn put_together(mut input: Input<'_>) {
    let method = input.choose(&["GET", "GET", "HEAD", "POST"]);
    let target = input.choose(&[
        "/metrics",
        "/metrics?",
        "/metrics?a=b?c",
        "/",
        "/metricsx",
        "*",
    ]);
    let version = input.choose(&["HTTP/1.0", "HTTP/1.1"]);
    let fields = input.below(MAX_FIELDS + 3);
    let rest = "Host: a\r\n".repeat(fields) + "\r\n";
    let mut head = format!("{method} {target} {version}\r\n{rest}").into_bytes();
    let expected = match (fields <= MAX_FIELDS, method) {
        (false, _) => Request::TooLong,
        (true, "GET") => Request::Get {
            is_metrics: target.split('?').next() == Some("/metrics"),
        },
        (true, _) => Request::OtherMethod,
    };
    assert_eq!(
        parse(&head[..head.len() - 1]).is_none(),
        fields <= MAX_FIELDS
    );
    head.extend_from_slice(input.rest());
    assert_eq!(read_all(&head), Some(expected));
}

/// Reads from a client that has sent this and gone.
fn read_all(mut data: &[u8]) -> Option<Request> {
    let read = pin!(read(&mut data));
    match read.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(request) => request.expect("memory can be read"),
        Poll::Pending => panic!("it waits for bytes that are there"),
    }
}
