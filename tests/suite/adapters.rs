//! Connections as futures' sinks and streams.

use std::pin::pin;
use std::time::Duration;

use futures_util::{FutureExt, SinkExt, StreamExt, TryStreamExt, poll, stream};
use ringseal::protocol::native::record::AbortReason;
use ringseal::{MessageSink, MessageStream, RecvError, SendError};

use super::peers::{builder, config, pair, pair_with, pattern, run, run_with};
use super::setting::on_native;

fn streams_forward_into_sinks_in_order_and_end_with_them() {
    run(async {
        let (dialer, listener) = pair().await;
        let echoing = ringseal::spawn(async move {
            let (sender, receiver) = listener.split();
            let sink = sender.into_sink().sink_map_err(|error| error.to_string());
            let messages = receiver.into_stream().map_err(|error| error.to_string());
            messages.forward(sink).await
        });
        let (sender, receiver) = dialer.split();
        let sizes = [0, 1, 64, 70_000, 278_000, 300_000, 1_048_576, 5];
        let messages = move || (0..400).map(move |index| pattern(sizes[index % 8], index));
        let sending = ringseal::spawn(async move {
            stream::iter(messages().map(Ok))
                .forward(sender.into_sink())
                .await
        });
        let mut received = receiver.into_stream();
        for message in messages() {
            let echoed = received.next().await.expect("more").expect("recv");
            assert!(*echoed == *message);
        }
        assert!(received.next().await.is_none());
        assert!(received.next().await.is_none());
        sending.await.expect("send");
        echoing.await.expect("echo");
    });
}

// HAZARDS B1, B2: waits that are given up, in the smallest pool.
fn futures_of_adapters_that_are_dropped_lose_and_double_nothing() {
    run_with(builder().slots(4).slot_size(4096), async {
        let (dialer, listener) = pair().await;
        let sending = ringseal::spawn(async move {
            let (sender, _receiver) = dialer.split();
            let mut sink = sender.into_sink();
            for index in 0..1000 {
                // `feed` takes its message when it is ready, and not before.
                while poll!(pin!(std::future::poll_fn(
                    |context| sink.poll_ready_unpin(context)
                )))
                .is_pending()
                {
                    ringseal::sleep(Duration::from_millis(1)).await;
                }
                sink.start_send_unpin(pattern(index % 3000, index))
                    .expect("ready");
            }
            let _ = sink.flush().now_or_never();
            sink.close().await.expect("close");
        });
        let (_sender, receiver) = listener.split();
        let mut messages = receiver.into_stream();
        for index in 0..1000 {
            let message = loop {
                if let Some(next) = messages.next().now_or_never() {
                    break next.expect("more").expect("recv");
                }
                ringseal::sleep(Duration::from_millis(1)).await;
            };
            assert!(*message == *pattern(index % 3000, index), "message {index}");
            if index == 500 {
                // There and back, in the middle.
                messages = messages.into_receiver().into_stream();
            }
        }
        assert!(messages.next().await.is_none());
        sending.await;
    });
}

fn adapters_tell_errors_once_and_a_sink_survives_what_is_too_large() {
    run(async {
        // What the listener takes is what counts on the native wire, where it says so.
        let theirs = if on_native() { 3 } else { 1000 };
        let (dialer, listener) = pair_with(
            &config(1).max_message_size(3),
            &config(2).max_message_size(theirs),
        )
        .await;
        let (sender, receiver) = dialer.split();
        let mut sink: MessageSink<&[u8]> = sender.into_sink();
        let mut messages: MessageStream = receiver.into_stream();
        let error = sink.feed(b"four").await.expect_err("too large");
        assert!(matches!(error, SendError::TooLarge { length: 4, .. }));
        sink.send(b"two").await.expect("fits");
        let (mut theirs, mut ours) = listener.split();
        let message = ours.recv().await.expect("recv").expect("one");
        assert_eq!(&*message, b"two");
        let sent = theirs.send(b"four").await;
        if on_native() {
            // It knows what we take. What then is an error here is that it ends without an end.
            assert!(matches!(sent, Err(SendError::TooLarge { limit: 3, .. })));
            theirs.abort(AbortReason(300));
        } else {
            sent.expect("send");
        }
        let error = messages.next().await.expect("an error");
        assert!(
            matches!(error, Err(RecvError::Record(_) | RecvError::Aborted { .. })),
            "{error:?}"
        );
        assert!(messages.next().await.is_none());
        if on_native() {
            // Both directions are over.
            sink.close().await.expect_err("given up");
        } else {
            sink.close().await.expect("close");
        }
        let error = sink.send(b"x").await.expect_err("closed");
        assert!(matches!(error, SendError::Closed), "{error:?}");
    });
}

fn a_sink_that_is_taken_apart_gives_back_what_it_kept() {
    run(async {
        let (dialer, listener) = pair().await;
        let (sender, _receiver) = dialer.split();
        let mut sink = sender.into_sink();
        let mut taken = 0;
        // Full without the writer's turn: two buffers, and one message that is kept.
        while let Some(ready) = sink.feed(pattern(60_000, taken)).now_or_never() {
            ready.expect("send");
            taken += 1;
        }
        let (mut sender, kept) = sink.into_sender();
        let kept = kept.expect("one found no room");
        assert!(kept == pattern(60_000, taken - 1));
        let sending = ringseal::spawn(async move {
            sender.send(&kept).await.expect("send");
            sender.close().await.expect("close");
        });
        let (_sender, receiver) = listener.split();
        let mut count = 0;
        let mut messages = receiver.into_stream();
        while let Some(message) = messages.try_next().await.expect("recv") {
            assert!(*message == *pattern(60_000, count));
            count += 1;
        }
        assert_eq!(count, taken);
        sending.await;
    });
}

crate::on_every_setting! {
    streams_forward_into_sinks_in_order_and_end_with_them,
    futures_of_adapters_that_are_dropped_lose_and_double_nothing,
    adapters_tell_errors_once_and_a_sink_survives_what_is_too_large,
    a_sink_that_is_taken_apart_gives_back_what_it_kept,
}
