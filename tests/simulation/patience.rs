//! How long a call is given before its future is dropped, or leaked.

use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use crate::random::Random;

/// What becomes of a future that is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Dropped,
    /// Nobody polls it any more, and nobody drops it.
    Leaked,
}

/// When a call is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    Endless,
    /// Behind so many polls.
    Polls(u32, Fate),
    /// After so many milliseconds.
    Time(u64, Fate),
}

impl Patience {
    /// Draws one: calls are given up so many times in a hundred.
    pub(crate) fn draw(random: &mut Random, percent: u32, leaks: bool) -> Self {
        if !random.chance(percent) {
            return Self::Endless;
        }
        let fate = if leaks && random.chance(30) {
            Fate::Leaked
        } else {
            Fate::Dropped
        };
        if random.chance(70) {
            // Most calls are done after few.
            Self::Polls(random.one_of(&[0, 1, 1, 1, 2, 2, 3, 5]), fate)
        } else {
            Self::any_point(random, fate)
        }
    }

    /// Draws a point of a call that takes long: any poll of it, or any time.
    pub(crate) fn any_point(random: &mut Random, fate: Fate) -> Self {
        if random.chance(60) {
            let most = random.one_of(&[2, 10, 60, 400]);
            let polls = u32::try_from(random.between(0, most)).expect("small");
            Self::Polls(polls, fate)
        } else {
            let most = random.one_of(&[3, 40, 400]);
            Self::Time(random.between(0, most), fate)
        }
    }

    /// Returns what is drawn for a call that owns a message, which would be leaked with it.
    pub(crate) fn without_leak(self) -> Self {
        match self {
            Self::Endless => Self::Endless,
            Self::Polls(polls, _) => Self::Polls(polls, Fate::Dropped),
            Self::Time(time, _) => Self::Time(time, Fate::Dropped),
        }
    }

    /// Runs `call`; `None` when it was given up.
    pub(crate) async fn give<F: Future>(self, call: F) -> Option<F::Output> {
        let (polls, time, fate) = match self {
            Self::Endless => return Some(call.await),
            Self::Polls(polls, fate) => (polls, None, fate),
            Self::Time(time, fate) => (u32::MAX, Some(time), fate),
        };
        let mut call = Box::pin(call);
        let mut sleep = time.map(|time| Box::pin(ringseal::sleep(Duration::from_millis(time))));
        let mut left = polls;
        let output = poll_fn(|context| {
            if let Some(sleep) = &mut sleep
                && sleep.as_mut().poll(context).is_ready()
            {
                return Poll::Ready(None);
            }
            poll_while(&mut left, call.as_mut(), context)
        })
        .await;
        if output.is_none() && fate == Fate::Leaked {
            core::mem::forget(call);
        }
        output
    }
}

/// Polls `call` if there is a poll left for it, and gives it up behind the last one.
fn poll_while<F: Future>(
    left: &mut u32,
    call: Pin<&mut F>,
    context: &mut Context<'_>,
) -> Poll<Option<F::Output>> {
    if *left == 0 {
        return Poll::Ready(None);
    }
    *left -= 1;
    match call.poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if *left == 0 => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    }
}

/// Lets every other task that is ready run once.
pub(crate) async fn give_others_a_turn() {
    let mut is_back = false;
    poll_fn(|context| {
        if core::mem::replace(&mut is_back, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
