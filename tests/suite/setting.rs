//! What a test runs on: a wire, a driver and a transport. Every test runs on each combination
//! that is listed here.

use std::cell::Cell;
use std::thread::JoinHandle;

use ringseal::{Backend, Wire};

use super::transport::Transport;

/// Which of the two wires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WireKind {
    Native,
    Commonware,
}

/// A wire, a driver and a transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// The name of the modules that hold its tests.
    pub(crate) name: &'static str,
    pub(crate) wire: WireKind,
    pub(crate) backend: Backend,
    pub(crate) transport: Transport,
}

thread_local! {
    static CURRENT: Cell<Option<Setting>> = const { Cell::new(None) };
}

impl Setting {
    pub(crate) const fn new(
        name: &'static str,
        wire: WireKind,
        backend: Backend,
        transport: Transport,
    ) -> Self {
        Self {
            name,
            wire,
            backend,
            transport,
        }
    }

    /// Runs `test` on this thread with this setting.
    pub(crate) fn run(self, test: impl FnOnce()) {
        CURRENT.set(Some(self));
        test();
    }

    /// Returns the setting of the test that this thread belongs to.
    pub(crate) fn current() -> Self {
        CURRENT
            .get()
            .expect("a thread of a test, started by setting::spawn")
    }
}

/// Whether this test is on the native wire.
pub(crate) fn on_native() -> bool {
    Setting::current().wire == WireKind::Native
}

/// Returns the wire of this test, with the versions or the suite that it has by default. Tests that
/// choose all settings by themselves have the default wire.
pub(crate) fn wire() -> Wire {
    match CURRENT.get().map(|setting| setting.wire) {
        None | Some(WireKind::Native) => Wire::default(),
        Some(WireKind::Commonware) => Wire::COMMONWARE,
    }
}

/// How many bytes a dialer sends before its first record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HandshakeLengths {
    /// Its first message.
    pub(crate) first: usize,
    /// What it sends before an answer. With this it has proved its key on the commonware wire.
    pub(crate) before_answer: usize,
    pub(crate) all: usize,
}

/// Returns how long the handshake is on the wire of this test.
pub(crate) fn handshake_lengths() -> HandshakeLengths {
    if on_native() {
        HandshakeLengths {
            first: 1237,
            before_answer: 1237,
            all: 1237 + 164,
        }
    } else {
        HandshakeLengths {
            first: 33,
            before_answer: 33 + 105,
            all: 33 + 105 + 33,
        }
    }
}

/// Returns bytes that a dialer's first message may begin with, without end.
pub(crate) fn first_bytes() -> impl Iterator<Item = u8> + Send {
    let (start, rest) = if on_native() {
        (b"RSL1", 1)
    } else {
        (&[0x20; 4], 0x20)
    };
    start.iter().copied().chain(std::iter::repeat(rest))
}

/// Returns the driver of this test.
pub(crate) fn backend() -> Backend {
    Setting::current().backend
}

/// Returns what connects the peers of this test.
pub(crate) fn transport() -> Transport {
    Setting::current().transport
}

/// Starts a thread that belongs to the same test.
pub(crate) fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let setting = Setting::current();
    std::thread::spawn(move || {
        CURRENT.set(Some(setting));
        work()
    })
}

/// Makes a test of each function and setting, as `uring_tcp::function` on the native wire and as
/// `commonware_uring_tcp::function` on the other one.
#[macro_export]
macro_rules! on_every_setting {
    ($($test:ident,)+) => {
        $crate::on_every_transport!($($test,)+);
        $crate::on_commonware!($($test,)+);
    };
}

/// Makes a test of each function, driver and transport, on the commonware wire: what is of that wire
/// alone. tokio-uring has TCP alone here, since it has all of them on the native one.
#[macro_export]
macro_rules! on_commonware {
    ($($test:ident,)+) => {
        $crate::on_setting!(commonware_uring_tcp, Commonware, Uring, Tcp, $($test,)+);
        $crate::on_setting!(commonware_uring_unix, Commonware, Uring, Unix, $($test,)+);
        $crate::on_setting!(commonware_uring_memory, Commonware, Uring, Memory, $($test,)+);
        $crate::on_setting!(commonware_tokio_uring_tcp, Commonware, TokioUring, Tcp, $($test,)+);
        $crate::on_setting!(commonware_epoll_tcp, Commonware, Epoll, Tcp, $($test,)+);
        $crate::on_setting!(commonware_epoll_unix, Commonware, Epoll, Unix, $($test,)+);
        $crate::on_setting!(commonware_epoll_memory, Commonware, Epoll, Memory, $($test,)+);
    };
}

/// Makes a test of each function, driver and transport, on the native wire: what is of that wire
/// alone, or what the wire makes no difference to.
#[macro_export]
macro_rules! on_every_transport {
    ($($test:ident,)+) => {
        $crate::on_setting!(uring_tcp, Native, Uring, Tcp, $($test,)+);
        $crate::on_setting!(uring_unix, Native, Uring, Unix, $($test,)+);
        $crate::on_setting!(uring_memory, Native, Uring, Memory, $($test,)+);
        $crate::on_setting!(tokio_uring_tcp, Native, TokioUring, Tcp, $($test,)+);
        $crate::on_setting!(tokio_uring_unix, Native, TokioUring, Unix, $($test,)+);
        $crate::on_setting!(tokio_uring_memory, Native, TokioUring, Memory, $($test,)+);
        $crate::on_setting!(epoll_tcp, Native, Epoll, Tcp, $($test,)+);
        $crate::on_setting!(epoll_unix, Native, Epoll, Unix, $($test,)+);
        $crate::on_setting!(epoll_memory, Native, Epoll, Memory, $($test,)+);
    };
}

/// Makes a test of each function and driver, on the native wire over TCP: what the wire and the
/// transport make no difference to.
#[macro_export]
macro_rules! on_every_driver {
    ($($test:ident,)+) => {
        $crate::on_setting!(uring_tcp, Native, Uring, Tcp, $($test,)+);
        $crate::on_setting!(tokio_uring_tcp, Native, TokioUring, Tcp, $($test,)+);
        $crate::on_setting!(epoll_tcp, Native, Epoll, Tcp, $($test,)+);
    };
}

/// Makes the tests of one setting.
#[macro_export]
macro_rules! on_setting {
    ($setting:ident, $wire:ident, $backend:ident, $transport:ident, $($test:ident,)+) => {
        mod $setting {
            $(
                #[test]
                fn $test() {
                    $crate::setting::Setting::new(
                        stringify!($setting),
                        $crate::setting::WireKind::$wire,
                        ringseal::Backend::$backend,
                        $crate::transport::Transport::$transport,
                    )
                    .run(super::$test);
                }
            )+
        }
    };
}
