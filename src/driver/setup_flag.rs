//! Flags that a ring is set up with, and which of them go together: the start of a ring and
//! [`Inspection`](super::Inspection) both go by this list.

use io_uring::Builder;

/// A flag that a ring is set up with where the kernel knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SetupFlag {
    SubmitAll,
    CooperativeTaskRun,
    TaskRunFlag,
    SingleIssuer,
    DeferredTaskRun,
}

impl SetupFlag {
    pub(super) const ALL: [Self; 5] = [
        Self::SubmitAll,
        Self::CooperativeTaskRun,
        Self::TaskRunFlag,
        Self::SingleIssuer,
        Self::DeferredTaskRun,
    ];

    /// The kernel's name of it, without `IORING_SETUP_`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::SubmitAll => "SUBMIT_ALL",
            Self::CooperativeTaskRun => "COOP_TASKRUN",
            Self::TaskRunFlag => "TASKRUN_FLAG",
            Self::SingleIssuer => "SINGLE_ISSUER",
            Self::DeferredTaskRun => "DEFER_TASKRUN",
        }
    }

    /// The flag and what the kernel never takes it without.
    pub(super) fn with_prerequisites(self) -> &'static [Self] {
        match self {
            Self::SubmitAll => &[Self::SubmitAll],
            Self::CooperativeTaskRun => &[Self::CooperativeTaskRun],
            Self::TaskRunFlag => &[Self::CooperativeTaskRun, Self::TaskRunFlag],
            Self::SingleIssuer => &[Self::SingleIssuer],
            Self::DeferredTaskRun => &[Self::SingleIssuer, Self::DeferredTaskRun],
        }
    }

    pub(super) fn set(self, builder: &mut Builder) {
        match self {
            Self::SubmitAll => builder.setup_submit_all(),
            Self::CooperativeTaskRun => builder.setup_coop_taskrun(),
            Self::TaskRunFlag => builder.setup_taskrun_flag(),
            Self::SingleIssuer => builder.setup_single_issuer(),
            Self::DeferredTaskRun => builder.setup_defer_taskrun(),
        };
    }
}

/// For a thread that waits in the ring itself, the best first.
pub(super) const WAITING_IN_THE_RING: [&[SetupFlag]; 3] = [
    // The kernel's own work is left to the moment when the thread asks for completions.
    &[
        SetupFlag::SubmitAll,
        SetupFlag::SingleIssuer,
        SetupFlag::DeferredTaskRun,
        SetupFlag::TaskRunFlag,
    ],
    // The same without an interruption where it can't be left.
    &[
        SetupFlag::SubmitAll,
        SetupFlag::CooperativeTaskRun,
        SetupFlag::TaskRunFlag,
    ],
    &[],
];

/// For a thread that waits elsewhere: work that is deferred would never be done.
pub(super) const WAITING_ELSEWHERE: [&[SetupFlag]; 2] = [
    &[SetupFlag::CooperativeTaskRun, SetupFlag::SingleIssuer],
    &[],
];
