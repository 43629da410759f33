//! Operations that a ring here has to know: the start of a ring and
//! [`Inspection`](super::Inspection) both go by this list.

use io_uring::opcode;

/// An operation that the driver submits.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequiredOperation {
    pub(super) code: u8,
    pub(super) name: &'static str,
}

const fn operation(code: u8, name: &'static str) -> RequiredOperation {
    RequiredOperation { code, name }
}

/// Operations that the driver submits. None of them can be done without.
pub(super) const OPERATIONS: [RequiredOperation; 6] = [
    operation(opcode::Nop::CODE, "NOP"),
    operation(opcode::ReadFixed::CODE, "READ_FIXED"),
    operation(opcode::Recv::CODE, "RECV"),
    operation(opcode::Send::CODE, "SEND"),
    operation(opcode::PollAdd::CODE, "POLL_ADD"),
    operation(CANCEL, "ASYNC_CANCEL"),
];

/// The operation that has to be able to cancel by descriptor, which its code does not tell.
pub(super) const CANCEL: u8 = opcode::AsyncCancel2::CODE;
