//! What a client of the metrics is answered.

use ringseal_cli::request::Request;

/// What a client is answered, as it crosses.
pub(super) fn answer(request: Request, metrics: &str, metrics_type: &str) -> Vec<u8> {
    let text = "text/plain; charset=utf-8";
    match request {
        Request::Get { is_metrics: true } => render("200 OK", metrics_type, metrics),
        Request::Get { .. } => render("404 Not Found", text, "the metrics are at /metrics\n"),
        Request::OtherMethod => {
            let status = "405 Method Not Allowed\r\nAllow: GET";
            render(status, text, "use GET\n")
        }
        Request::TooLong => {
            let status = "431 Request Header Fields Too Large";
            render(status, text, "send less: this is for Prometheus\n")
        }
        Request::Malformed => render("400 Bad Request", text, "this is not HTTP/1.1\n"),
    }
}

fn render(status: &str, content_type: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
