//! The one operation that a stream may have in flight in a direction.

use core::cell::RefCell;

/// An operation, which is taken out while it is polled: that may run foreign code, which may come
/// back here.
pub(super) struct Direction<T> {
    state: RefCell<State<T>>,
}

enum State<T> {
    Idle,
    InFlight(T),
    /// Somebody further up this stack polls it.
    Taken,
    /// The same, and it is to go then.
    GivenUp,
}

impl<T> Direction<T> {
    /// Whether there is an operation.
    pub(super) fn is_active(&self) -> bool {
        !matches!(*self.state.borrow(), State::Idle)
    }

    /// Puts an operation here.
    ///
    /// # Panics
    ///
    /// If there is one.
    pub(super) fn start(&self, operation: T) {
        let previous = self.state.replace(State::InFlight(operation));
        assert!(
            matches!(previous, State::Idle),
            "two operations of one direction in flight"
        );
    }

    /// Takes the operation out to be polled.
    pub(super) fn take(&self) -> Access<'_, T> {
        match self.state.replace(State::Taken) {
            State::Idle => {
                self.state.replace(State::Idle);
                Access::Idle
            }
            State::InFlight(operation) => Access::Operation(Taken {
                direction: self,
                operation: Some(operation),
            }),
            busy => {
                self.state.replace(busy);
                Access::Busy
            }
        }
    }

    /// Gives the operation up, if there is one. While it is polled it goes when that is over.
    pub(super) fn give_up(&self) -> Option<T> {
        match self.take() {
            Access::Operation(taken) => Some(taken.finish()),
            Access::Busy => {
                self.state.replace(State::GivenUp);
                None
            }
            Access::Idle => None,
        }
    }

    /// Looks at the operation, if there is one that nobody polls, with something that runs no
    /// foreign code.
    pub(super) fn look<R>(&self, look: impl FnOnce(&mut T) -> R) -> Option<R> {
        match &mut *self.state.borrow_mut() {
            State::InFlight(operation) => Some(look(operation)),
            State::Idle | State::Taken | State::GivenUp => None,
        }
    }
}

impl<T> Default for Direction<T> {
    fn default() -> Self {
        Self {
            state: RefCell::new(State::Idle),
        }
    }
}

impl<T> core::fmt::Debug for Direction<T> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter
            .debug_struct("Direction")
            .field("is_active", &self.is_active())
            .finish()
    }
}

/// What there is to be polled.
pub(super) enum Access<'a, T> {
    /// Nothing.
    Idle,
    /// Something that is being polled already.
    Busy,
    Operation(Taken<'a, T>),
}

/// An operation while it is polled. Unless it is done it goes back when this is dropped.
pub(super) struct Taken<'a, T> {
    direction: &'a Direction<T>,
    operation: Option<T>,
}

impl<T> Taken<'_, T> {
    pub(super) fn operation(&mut self) -> &mut T {
        self.operation.as_mut().expect("there until it is done")
    }

    /// Takes the operation away: it has completed.
    pub(super) fn finish(mut self) -> T {
        self.operation.take().expect("done once")
    }
}

impl<T> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        let is_given_up = matches!(*self.direction.state.borrow(), State::GivenUp);
        let (state, given_up) = match self.operation.take() {
            Some(operation) if !is_given_up => (State::InFlight(operation), None),
            operation => (State::Idle, operation),
        };
        self.direction.state.replace(state);
        drop(given_up);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(direction: &Direction<u8>) -> Taken<'_, u8> {
        match direction.take() {
            Access::Operation(taken) => taken,
            Access::Idle | Access::Busy => panic!("nothing to take"),
        }
    }

    #[test]
    fn an_operation_is_back_after_it_was_polled_and_gone_when_it_is_done() {
        let direction = Direction::default();
        assert!(matches!(direction.take(), Access::Idle));
        direction.start(7);
        let taken = take(&direction);
        assert!(direction.is_active());
        assert!(matches!(direction.take(), Access::Busy));
        assert_eq!(direction.look(|it| *it), None);
        drop(taken);
        assert_eq!(direction.look(|it| *it), Some(7));
        assert_eq!(take(&direction).finish(), 7);
        assert!(!direction.is_active());
    }

    #[test]
    fn what_is_given_up_while_it_is_polled_does_not_come_back() {
        let direction = Direction::default();
        direction.start(7);
        let taken = take(&direction);
        assert_eq!(direction.give_up(), None);
        drop(taken);
        assert!(!direction.is_active());
        direction.start(8);
        assert_eq!(direction.give_up(), Some(8));
        assert!(!direction.is_active());
    }

    #[test]
    #[should_panic(expected = "two operations")]
    fn there_is_one_operation_at_a_time() {
        let direction = Direction::default();
        direction.start(7);
        direction.start(8);
    }
}
