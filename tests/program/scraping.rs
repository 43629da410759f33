//! The metrics, as Prometheus asks for them, and as others do.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::harness::{Ended, PATIENCE, Pair, Program, eventually, json, keygen, run, stop, text};

/// Bob listens in this mode. Gives where, and where his metrics are.
fn listen(pair: &Pair, more: &[&str]) -> (Program, String, String) {
    let more = [&["--metrics", "127.0.0.1:0"], more].concat();
    let (listener, address) = pair.listen(&more);
    let second = listener.next_line();
    let url = second.strip_prefix("metrics at http://").expect(&second);
    let metrics = url.strip_suffix("/metrics").expect(url).to_owned();
    (listener, address, metrics)
}

fn connect(address: &str) -> TcpStream {
    let client = TcpStream::connect(address).expect("connect");
    client.set_read_timeout(Some(PATIENCE)).expect("a limit");
    client
}

/// Sends a request and returns the answer: its head and its body.
fn ask(address: &str, request: &[u8]) -> (String, String) {
    let mut client = connect(address);
    client.write_all(request).expect("send");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect(&answer);
    let length = format!("Content-Length: {}", body.len());
    assert!(head.lines().any(|line| line == length), "{head}");
    (head.to_owned(), body.to_owned())
}

/// All samples by their names with labels.
fn scrape(address: &str) -> BTreeMap<String, f64> {
    let request = b"GET /metrics HTTP/1.1\r\nHost: example\r\nAccept: text/plain\r\n\r\n";
    let (head, body) = ask(address, request);
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(
        head.contains("\r\nContent-Type: text/plain; version=0.0.4"),
        "{head}"
    );
    let samples = body.lines().filter(|line| !line.starts_with('#'));
    samples
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').expect(line);
            (name.to_owned(), value.parse().expect(line))
        })
        .collect()
}

/// The sum over all threads of what has this name and label.
fn sum(samples: &BTreeMap<String, f64>, name: &str, label: &str) -> f64 {
    let of_name = |sample: &str| {
        let labels = sample.strip_prefix(name)?.strip_prefix('{')?;
        labels.contains(label).then_some(())
    };
    let found: Vec<_> = samples
        .iter()
        .filter(|(sample, _)| of_name(sample).is_some())
        .collect();
    assert!(!found.is_empty(), "no {name} with {label}");
    found.iter().map(|(_, value)| **value).sum()
}

#[test]
fn figures_of_all_threads_are_there_and_right() {
    let pair = Pair::new();
    let carol = keygen(&pair.directory, "carol.pem");
    let (listener, address, metrics) = listen(&pair, &["--threads", "2"]);
    let mut dialers = [(); 4].map(|()| pair.dial(&address, &[]));
    for dialer in &mut dialers {
        for _ in 0..25 {
            dialer.type_line("a line");
            assert_eq!(listener.next_line(), "a line");
        }
    }
    let mut args = vec!["dial", &address, "--identity", text(&carol.file)];
    args.extend(["--peer", &pair.bob.public, "--namespace", "test"]);
    run(&args).expect_failure(&["not admitted"]);
    let samples = scrape(&metrics);
    let open = |thread: &str| {
        samples[&format!("ringseal_connections{{thread=\"{thread}\",state=\"open\"}}")]
    };
    assert_eq!((open("0"), open("1")), (2.0, 2.0));
    let received = sum(
        &samples,
        "ringseal_messages_total",
        "direction=\"received\"",
    );
    assert_eq!(received, 100.0);
    let not_admitted = sum(
        &samples,
        "ringseal_server_refusals_total",
        "reason=\"not_admitted\"",
    );
    assert_eq!(not_admitted, 1.0);
    assert_eq!(
        sum(&samples, "ringseal_server_handler_panics_total", ""),
        0.0
    );
    for mut dialer in dialers {
        dialer.end_input();
        dialer.wait().expect_success();
    }
    eventually("nobody is there", || {
        sum(&scrape(&metrics), "ringseal_connections", "state=\"open\"") == 0.0
    });
    assert_eq!(stop(listener).status.code(), Some(0));
}

#[test]
fn the_address_of_the_metrics_is_json_on_request() {
    let pair = Pair::new();
    let (listener, line) = pair.listen(&["--json", "--metrics", "127.0.0.1:0"]);
    let url = json(&line)["metrics"].as_str().expect("a text").to_owned();
    let address = url
        .strip_prefix("http://")
        .and_then(|url| url.strip_suffix("/metrics"));
    assert!(scrape(address.expect(&url)).len() > 50);
    stop(listener).expect_success();
}

#[test]
fn whoever_asks_for_something_else_is_told_so() {
    let pair = Pair::new();
    let (listener, _address, metrics) = listen(&pair, &["--mode", "sink"]);
    let fields = "a: b\r\n".repeat(100);
    let long = format!(
        "GET /metrics HTTP/1.1\r\nCookie: {}\r\n\r\n",
        "x".repeat(20_000)
    );
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "404 Not Found"),
        (
            "POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
            "405 Method Not Allowed",
        ),
        ("HEAD /metrics HTTP/1.0\r\n\r\n", "405 Method Not Allowed"),
        ("SSH-2.0-example\r\n", "400 Bad Request"),
        ("\u{16}\u{3}\u{1}\u{2}", "400 Bad Request"),
        (&format!("GET /metrics HTTP/1.1\r\n{fields}\r\n"), "431 "),
        (&long, "431 "),
    ] {
        let (head, _) = ask(&metrics, request.as_bytes());
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
    }
    stop(listener).expect_success();
}

#[test]
fn hostile_clients_of_the_metrics_hold_up_neither_the_server_nor_each_other_for_long() {
    let pair = Pair::new();
    let (listener, address, metrics) = listen(&pair, &["--mode", "echo"]);
    // Silent ones, more than are answered at a time, and half of a request.
    let mut silent: Vec<_> = (0..30).map(|_| connect(&metrics)).collect();
    for client in silent.iter_mut().step_by(2) {
        client.write_all(b"GET /metr").expect("send");
    }
    // One that never reads, and one that never stops.
    let mut deaf = connect(&metrics);
    deaf.write_all(b"GET /metrics HTTP/1.1\r\n\r\n")
        .expect("send");
    let mut endless = connect(&metrics);
    let endless = std::thread::spawn(move || -> io::Error {
        endless
            .write_all(b"GET /metrics HTTP/1.1\r\n\r\n")
            .expect("send");
        loop {
            if let Err(error) = endless.write_all(&[b'x'; 4096]) {
                return error;
            }
        }
    });
    let ping = pair.dial(&address, &["--ping", "--seconds", "0.3", "--json"]);
    let output = ping.wait().expect_success();
    assert!(
        json(&output[0])["round_trips"].as_u64() > Some(0),
        "{output:?}"
    );
    // Each makes way when its time is over.
    for client in &mut silent {
        let mut rest = Vec::new();
        let _ = client.read_to_end(&mut rest);
        assert!(rest.is_empty());
    }
    let samples = scrape(&metrics);
    assert!(sum(&samples, "ringseal_messages_total", "received") > 0.0);
    endless.join().expect("it is cut off");
    drop(deaf.shutdown(Shutdown::Both));
    stop(listener).expect_success();
}

#[test]
fn many_silent_clients_of_the_metrics_make_way_sooner_while_others_wait() {
    let pair = Pair::new();
    let (listener, _address, metrics) = listen(&pair, &["--mode", "echo"]);
    let start = Instant::now();
    let _silent: Vec<_> = (0..60).map(|_| connect(&metrics)).collect();
    scrape(&metrics);
    // Less than half of what it takes when each has its five seconds.
    assert!(start.elapsed() < Duration::from_secs(17));
    stop(listener).expect_success();
}

/// Starts to listen with this address for the metrics, which is refused.
fn refused(pair: &Pair, metrics: &str) -> Ended {
    let mut args = vec!["listen", "127.0.0.1:0", "--identity", text(&pair.bob.file)];
    args.extend(["--namespace", "test", "--allow-any", "--metrics", metrics]);
    run(&args)
}

#[test]
fn metrics_are_for_this_host_alone_and_take_a_free_port() {
    let pair = Pair::new();
    for elsewhere in [
        "0.0.0.0:9100",
        "[::]:9100",
        "192.0.2.1:9100",
        "localhost:9100",
        "127.0.0.1",
        "x",
    ] {
        refused(&pair, elsewhere).expect_usage_error("write a loopback address and a port");
    }
    let taken = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = taken.local_addr().expect("bound").to_string();
    refused(&pair, &address).expect_failure(&[&address, "--metrics", "in use", "another port"]);
}
