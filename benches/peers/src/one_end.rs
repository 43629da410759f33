//! One end of a stream, in a process of its own.

use std::error::Error;
use std::io::Write as _;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use ringseal_peers::contender::Contender;
use ringseal_peers::work::Work;
use serde_json::json;

use crate::options::USAGE;

/// How long the name of a listener that is only starting is asked for again.
const PATIENCE: Duration = Duration::from_secs(10);

/// Is the listener or the dialer, and prints JSON: a listener first its address.
pub(crate) fn run(
    role: &str,
    arguments: impl Iterator<Item = String>,
) -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = arguments.collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match (role, arguments.as_slice()) {
        ("listen", [address, name]) => listen(resolve(address)?, contender(name)?),
        ("dial", [address, name, size, seconds]) => {
            let work = Work {
                size: size.parse()?,
                batch: 1,
                duration: Duration::try_from_secs_f64(seconds.parse()?)?,
            };
            dial(resolve(address)?, contender(name)?, &work)
        }
        _ => Err(USAGE.into()),
    }
}

fn listen(address: SocketAddr, contender: Contender) -> Result<(), Box<dyn Error>> {
    let (ready, bound) = mpsc::channel();
    let name = contender.name();
    let serving = std::thread::spawn(move || contender.listen(address, &ready));
    if let Ok(address) = bound.recv() {
        print(&json!({ "listening": address }))?;
    }
    let flow = serving.join().map_err(|_| "the listener failed")?;
    let flow = flow.ok_or_else(|| format!("{name} has no ends of its own"))?;
    print(&json!({
        "contender": name,
        "messages": flow.messages,
        "bytes": flow.bytes,
        "seconds": flow.elapsed.as_secs_f64(),
        "cpu_seconds": flow.processor.as_secs_f64(),
    }))
}

fn dial(address: SocketAddr, contender: Contender, work: &Work) -> Result<(), Box<dyn Error>> {
    let processor = contender.dial(address, work);
    let processor =
        processor.ok_or_else(|| format!("{} has no ends of its own", contender.name()))?;
    print(&json!({
        "contender": contender.name(),
        "cpu_seconds": processor.as_secs_f64(),
    }))
}

fn print(value: &serde_json::Value) -> Result<(), Box<dyn Error>> {
    let mut output = std::io::stdout();
    writeln!(output, "{value}")?;
    Ok(output.flush()?)
}

fn contender(name: &str) -> Result<Contender, String> {
    Contender::ALL
        .iter()
        .copied()
        .find(|contender| contender.name().eq_ignore_ascii_case(name))
        .ok_or_else(|| format!("nobody has the name {name}"))
}

/// Finds the address; the name of a container is known a moment after its start.
fn resolve(text: &str) -> Result<SocketAddr, Box<dyn Error>> {
    let start = Instant::now();
    loop {
        match text.to_socket_addrs() {
            Ok(mut addresses) => {
                return Ok(addresses.next().ok_or("a name without an address")?);
            }
            Err(error) if start.elapsed() >= PATIENCE => return Err(error.into()),
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}
