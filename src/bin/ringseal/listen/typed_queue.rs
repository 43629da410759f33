//! The typed lines of one peer, on their way to it.

use ringseal::Session;
use tokio::sync::mpsc;

use super::typed_lines::{Line, Member};
use crate::failure::Failure;
use crate::halves::WholeSender;

/// Bytes of typed lines that are handed to the kernel before the next are.
const FLUSH_SIZE: usize = 64 * 1024;

/// The end of a peer's queue where lines come out.
#[derive(Debug)]
pub(super) struct TypedQueue(mpsc::UnboundedReceiver<Line>);

impl TypedQueue {
    pub(super) fn new(lines: mpsc::UnboundedReceiver<Line>) -> Self {
        Self(lines)
    }

    /// Sends typed lines until no more come, and then the end.
    pub(super) async fn send(
        self,
        mut sender: WholeSender,
        member: &Member,
        session: &Session,
    ) -> Result<(), Failure> {
        let Self(mut queue) = self;
        let (mut lines, mut bytes) = (0, 0);
        while let Some(line) = queue.recv().await {
            if let Err(error) = sender.send(&line).await {
                // The lines before it leave nevertheless, as far as that is possible.
                if sender.flush().await.is_ok() {
                    member.sent(lines, bytes);
                }
                return Err(error.into());
            }
            lines += 1;
            bytes += line.len();
            // Lines count as sent when the kernel has them.
            if queue.is_empty() || bytes >= FLUSH_SIZE {
                sender.flush().await?;
                member.sent(lines, bytes);
                (lines, bytes) = (0, 0);
            }
        }
        if member.is_over() {
            // The server says that it shuts down before this says the end.
            session.draining().await;
        }
        Ok(sender.close().await?)
    }
}
