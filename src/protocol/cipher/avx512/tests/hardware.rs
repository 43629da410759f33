//! The cipher as users get it: that of the library which these tests are built beside, compiled
//! for the instructions.

use super::super::AeadError;
use super::{Aead, Subject};
use ringseal::protocol::cipher as library;
use ringseal::protocol::cipher::Aead as _;

pub(super) struct Hardware(library::Avx512);

/// Whether the processor has the instructions; says loudly if not.
pub(super) fn is_there() -> bool {
    let is_there = library::Avx512::name() == "avx512";
    if !is_there {
        std::eprintln!(
            "!! SKIPPED: this processor lacks AVX-512 or its integer multiplication;\n\
             !! NOBODY HAS RUN THESE TESTS ON HARDWARE"
        );
    }
    is_there
}

fn plain(result: Result<(), library::AeadError>) -> Result<(), AeadError> {
    result.map_err(|_| AeadError)
}

impl Aead for Hardware {
    fn name() -> &'static str {
        library::Avx512::name()
    }

    fn new(key: &[u8; 32]) -> Self {
        Self(library::Avx512::new(key))
    }

    fn seal(
        &mut self,
        nonce: &[u8; 12],
        plaintext: &[u8],
        sealed: &mut [u8],
    ) -> Result<(), AeadError> {
        plain(self.0.seal(nonce, plaintext, sealed))
    }

    fn seal_in_place(&mut self, nonce: &[u8; 12], sealed: &mut [u8]) -> Result<(), AeadError> {
        plain(self.0.seal_in_place(nonce, sealed))
    }

    fn open_in_place(&mut self, nonce: &[u8; 12], sealed: &mut [u8]) -> Result<(), AeadError> {
        plain(self.0.open_in_place(nonce, sealed))
    }
}

impl Subject for Hardware {
    fn with_one_time_key(key: &[u8; 32], one_time_key: &[u8; 32]) -> Self {
        Self(ringseal::internals::with_one_time_key(key, one_time_key))
    }
}
