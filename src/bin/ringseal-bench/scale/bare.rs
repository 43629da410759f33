//! What this machine allows in the same shape: on each core a thread that seals and one that opens, by
//! blocking sockets, one cipher call a record, and nothing else.
//!
//! ChaCha20-Poly1305 by the library that ringseal takes, records of 64 KiB in writes of 256 KiB. It is
//! there for what a second core brings, not for its speed.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use ringseal::protocol::cipher::{Aead, DefaultAead};
use ringseal_cli::failure::Failure;
use tokio::time::sleep;

use crate::pinning::pin;

/// Plaintext and tag of a record.
const RECORD: usize = 64 * 1024;
const RECORDS_OF_A_WRITE: usize = 4;
const WARM_UP: Duration = Duration::from_millis(150);

/// Records a second through so many pairs of threads.
pub(crate) async fn run(threads: usize, cores: &[usize], length: Duration) -> Result<f64, Failure> {
    let opened = Arc::new(AtomicU64::new(0));
    let is_over = Arc::new(AtomicBool::new(false));
    let mut pairs = Vec::new();
    for index in 0..threads {
        let core = cores.get(index).copied();
        pairs.extend(start_pair(core, &opened, &is_over)?);
    }
    sleep(WARM_UP).await;
    let (begin, before) = (Instant::now(), opened.load(Ordering::Relaxed));
    sleep(length).await;
    let records = opened.load(Ordering::Relaxed) - before;
    let seconds = begin.elapsed().as_secs_f64();
    is_over.store(true, Ordering::Relaxed);
    for thread in pairs {
        match thread.join() {
            Ok(result) => result?,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
    Ok(records as f64 / seconds)
}

type Pair = [JoinHandle<Result<(), Failure>>; 2];

fn start_pair(
    core: Option<usize>,
    opened: &Arc<AtomicU64>,
    is_over: &Arc<AtomicBool>,
) -> Result<Pair, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut out = TcpStream::connect(listener.local_addr()?)?;
    let (mut incoming, _) = listener.accept()?;
    let (opened, is_over) = (Arc::clone(opened), Arc::clone(is_over));
    let sealing = thread::Builder::new()
        .name("sealing".to_owned())
        .spawn(move || {
            pin(core)?;
            Ok(seal(&mut out, &is_over)?)
        })?;
    let opening = thread::Builder::new()
        .name("opening".to_owned())
        .spawn(move || {
            pin(core)?;
            Ok(open(&mut incoming, &opened)?)
        })?;
    Ok([sealing, opening])
}

/// A key and the number of the next record.
struct Cipher {
    key: DefaultAead,
    next: u64,
}

impl Cipher {
    fn new() -> Self {
        Self {
            key: DefaultAead::new(&[7; 32]),
            next: 0,
        }
    }

    fn nonce(&mut self) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&self.next.to_le_bytes());
        self.next += 1;
        nonce
    }
}

fn seal(out: &mut TcpStream, is_over: &AtomicBool) -> io::Result<()> {
    let mut cipher = Cipher::new();
    let mut write = vec![0x5a; RECORDS_OF_A_WRITE * RECORD];
    while !is_over.load(Ordering::Relaxed) {
        for record in write.chunks_exact_mut(RECORD) {
            let nonce = cipher.nonce();
            cipher
                .key
                .seal_in_place(&nonce, record)
                .map_err(io::Error::other)?;
        }
        out.write_all(&write)?;
    }
    Ok(())
}

fn open(incoming: &mut TcpStream, opened: &AtomicU64) -> io::Result<()> {
    let mut cipher = Cipher::new();
    let mut read = vec![0; RECORDS_OF_A_WRITE * RECORD];
    let mut filled = 0;
    loop {
        let count = incoming.read(&mut read[filled..])?;
        if count == 0 {
            return Ok(());
        }
        filled += count;
        let whole = filled / RECORD * RECORD;
        for record in read[..whole].chunks_exact_mut(RECORD) {
            let nonce = cipher.nonce();
            cipher
                .key
                .open_in_place(&nonce, record)
                .map_err(io::Error::other)?;
            opened.fetch_add(1, Ordering::Relaxed);
        }
        read.copy_within(whole..filled, 0);
        filled -= whole;
    }
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn records_arrive_and_are_counted() {
        let executor = Builder::new_current_thread().enable_time().build();
        let length = Duration::from_millis(50);
        let rate = executor.expect("an executor").block_on(run(1, &[], length));
        let rate = rate.expect("it runs");
        assert!(rate > 0.0);
    }
}
