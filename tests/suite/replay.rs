//! What was recorded of one connection, played to a listener again.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::sync::mpsc;

use super::peers::{builder, config, key, relay};
use super::setting::{backend, spawn};
use super::transport::{RawStream, somewhere};
use ringseal::protocol::native::handshake::HELLO_LEN;
use ringseal::{Admission, Backend, Listener, dial};

// HAZARDS H13 on this wire: a hello that was recorded gets answers, which are of no use to anybody.
fn a_recorded_hello_is_of_no_use_however_often_it_is_played() {
    // Once as often as it takes to be sure: elsewhere the same code answers.
    let times = if backend() == Backend::Uring {
        10_000
    } else {
        500
    };
    let runtime = builder().build().expect("io_uring on this host");
    runtime.block_on(async {
        let mut listener = Listener::bind(somewhere(), &config(2), Admission::any())
            .await
            .expect("bind");
        let address = listener.local_address();
        let (recorded, record) = mpsc::channel();
        let recording = relay(address.clone(), move |offset, chunk| {
            recorded.send((offset, chunk.to_vec())).ok();
            chunk.len()
        });
        let dialing = config(1);
        let (dialed, accepted) =
            futures_util::join!(dial(recording, key(2), &dialing), listener.accept());
        drop((dialed.expect("dial"), accepted.expect("accept")));
        let mut hello = Vec::new();
        while hello.len() < HELLO_LEN {
            let (_, chunk) = record.recv().expect("the hello");
            hello.extend(chunk);
        }
        hello.truncate(HELLO_LEN);
        let target = address.clone();
        let playing = spawn(move || {
            let mut answers = HashSet::new();
            for _ in 0..times {
                let mut stream = RawStream::connect(target.clone());
                stream.write_all(&hello).expect("write");
                let mut answer = [0; 32];
                stream.read_exact(&mut answer).expect("an answer");
                answers.insert(answer);
            }
            answers.len()
        });
        let mut ended = 0;
        while ended < times {
            assert!(listener.accept().await.is_err(), "it proves nothing");
            ended += 1;
        }
        assert_eq!(playing.join().expect("the player"), times, "each its own");
        let (dialed, accepted) =
            futures_util::join!(dial(address, key(2), &dialing), listener.accept());
        let (mut dialed, mut accepted) = (dialed.expect("dial"), accepted.expect("accept"));
        dialed.send(b"still served").await.expect("send");
        assert!(accepted.recv().await.expect("recv").is_some());
    });
}

crate::on_every_driver! {
    a_recorded_hello_is_of_no_use_however_often_it_is_played,
}
