//! Addresses of names. The system's resolver blocks, so it is asked on threads: a few for the
//! whole process, however many ask and however long it takes, and once at a time for one name.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Threads at most. Each may hang in the system's resolver, and as many other names as are left
/// are still resolved.
const MAX_THREADS: usize = 8;

type Answer = io::Result<Vec<SocketAddr>>;

/// Returns the addresses that a `host:port` stands for.
///
/// Dropping the future gives up waiting. A query that has begun goes on, for others who ask
/// meanwhile.
///
/// # Errors
///
/// What the system's resolver says, and what it takes to start a thread.
pub(crate) async fn resolve(name: &str) -> Answer {
    Question::ask(name)?.await
}

/// All queries of the process.
static RESOLVER: Mutex<Resolver> = Mutex::new(Resolver::new());

#[derive(Debug)]
struct Resolver {
    /// The process whose threads these are: a forked child has none of them.
    process: u32,
    threads: usize,
    queries: BTreeMap<String, Query>,
    /// Names whose query has not begun.
    waiting: VecDeque<String>,
    next_question: u64,
}

/// What is asked for one name.
#[derive(Debug, Default)]
struct Query {
    has_begun: bool,
    questions: BTreeMap<u64, oneshot::Sender<Answer>>,
}

impl Resolver {
    const fn new() -> Self {
        Self {
            process: 0,
            threads: 0,
            queries: BTreeMap::new(),
            waiting: VecDeque::new(),
            next_question: 0,
        }
    }

    fn lock() -> MutexGuard<'static, Self> {
        // Nothing in here panics between two states, so a poisoned lock guards good data.
        let mut resolver = RESOLVER.lock().unwrap_or_else(PoisonError::into_inner);
        let process = std::process::id();
        if resolver.process != process {
            let parents = core::mem::replace(&mut *resolver, Self::new());
            // Its wakers belong to tasks of the parent.
            core::mem::forget(parents);
            resolver.process = process;
        }
        resolver
    }

    fn ask(&mut self, name: &str, sender: oneshot::Sender<Answer>) -> u64 {
        let question = self.next_question;
        self.next_question += 1;
        if !self.queries.contains_key(name) {
            self.waiting.push_back(name.to_owned());
        }
        let query = self.queries.entry(name.to_owned()).or_default();
        query.questions.insert(question, sender);
        question
    }

    /// Forgets a question, and its name if the query has not begun and nobody else asks. What is
    /// returned wakes somebody when it is dropped, so drop it without the lock.
    fn forget(&mut self, name: &str, question: u64) -> Option<oneshot::Sender<Answer>> {
        let query = self.queries.get_mut(name)?;
        let sender = query.questions.remove(&question);
        if query.questions.is_empty() && !query.has_begun {
            self.queries.remove(name);
            self.waiting.retain(|waiting| waiting != name);
        }
        sender
    }

    /// Sees to it that there is a thread for what waits.
    fn staff(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() || self.threads == MAX_THREADS {
            return Ok(());
        }
        let thread = std::thread::Builder::new().name("ringseal-resolver".to_owned());
        match thread.spawn(answer_all) {
            Ok(_) => self.threads += 1,
            Err(error) if self.threads == 0 => return Err(error),
            Err(error) => tracing::debug!(%error, "no further thread for the resolver"),
        }
        Ok(())
    }

    /// Begins the next query, or gives up the thread that asks for one.
    fn begin(&mut self) -> Option<String> {
        let Some(name) = self.waiting.pop_front() else {
            self.threads -= 1;
            return None;
        };
        if let Some(query) = self.queries.get_mut(&name) {
            query.has_begun = true;
        }
        Some(name)
    }
}

/// What each thread does, until nothing waits.
fn answer_all() {
    loop {
        let next = Resolver::lock().begin();
        let Some(name) = next else { return };
        let answer = name.to_socket_addrs().map(Vec::from_iter);
        let query = Resolver::lock().queries.remove(&name).unwrap_or_default();
        for sender in query.questions.into_values() {
            let answer = match &answer {
                Ok(addresses) => Ok(addresses.clone()),
                Err(error) => Err(copy_of(error)),
            };
            // Fails only when nobody waits any more; a waker is foreign code, and may panic.
            let _ = catch_unwind(AssertUnwindSafe(|| sender.send(answer)));
        }
    }
}

fn copy_of(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

/// Somebody who waits for the addresses of a name.
struct Question {
    name: String,
    number: u64,
    answer: oneshot::Receiver<Answer>,
}

impl Question {
    fn ask(name: &str) -> io::Result<Self> {
        let (sender, answer) = oneshot::channel();
        let mut resolver = Resolver::lock();
        let number = resolver.ask(name, sender);
        let staffed = resolver.staff();
        drop(resolver);
        let question = Self {
            name: name.to_owned(),
            number,
            answer,
        };
        staffed.map(|()| question)
    }
}

impl Future for Question {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        let answer = Pin::new(&mut self.answer).poll(context);
        answer.map(|answer| answer.unwrap_or_else(|_| Err(io::ErrorKind::Other.into())))
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        let sender = Resolver::lock().forget(&self.name, self.number);
        drop(sender);
    }
}
