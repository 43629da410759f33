//! Takes an input apart. What is missing at its end reads as zeros.

use arbitrary::Unstructured;

pub(crate) struct Input<'a>(Unstructured<'a>);

impl<'a> Input<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self(Unstructured::new(data))
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        self.0.fill_buffer(&mut array).expect("it never fails");
        array
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let [byte] = self.array();
        byte
    }

    pub(crate) fn number(&mut self) -> u64 {
        u64::from_be_bytes(self.array())
    }

    /// A number of two bytes below `end`, which is not zero.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::from(u16::from_be_bytes(self.array())) % end
    }

    pub(crate) fn choose<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.byte()) % choices.len()]
    }

    /// As many bytes as there are, up to `length`.
    pub(crate) fn bytes(&mut self, length: usize) -> &'a [u8] {
        let length = length.min(self.0.len());
        self.0.bytes(length).expect("they are there")
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.0.take_rest()
    }

    /// Changes up to three bytes of `target`; returns whether that has made a difference.
    pub(crate) fn edit(&mut self, target: &mut [u8]) -> bool {
        let before = target.to_vec();
        for _ in 0..self.byte() % 4 {
            target[self.below(before.len())] ^= self.byte();
        }
        target != before
    }
}

/// The bits of a byte, one after the other.
pub(crate) struct Flags(u8);

impl Flags {
    pub(crate) fn take_from(input: &mut Input<'_>) -> Self {
        Self(input.byte())
    }

    pub(crate) fn next(&mut self) -> bool {
        let is_set = self.0 & 1 == 1;
        self.0 >>= 1;
        is_set
    }
}
