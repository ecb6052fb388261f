//! Changes of an input that find mistakes of readers.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

/// The longest input.
const MAX_BYTES: usize = 4096;
/// What readers look for, and what they stumble over.
const TOKENS: [&[u8]; 40] = [
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"\0",
    b" ",
    b"\t",
    b"data:",
    b"data",
    b"id:",
    b"event:",
    b":",
    b"\xef\xbb\xbf",
    b"\xff",
    b"\xc3",
    b"null",
    b"true",
    b"1e400",
    b"-0",
    b"1.0",
    b"18446744073709551616",
    b"\\u0000",
    b"\\ud800",
    b"\"id\":1",
    b"\"_meta\":{}",
    b"\"jsonrpc\":\"2.0\"",
    b"\"params\":",
    b"\"method\":",
    b"=?base64?",
    b"?=",
    b"==",
    b"-",
];

/// Makes inputs of seeds.
pub(super) struct Mutator {
    random: StdRng,
    seeds: Vec<Vec<u8>>,
}

impl Mutator {
    /// Inputs made of `seeds`; the same `start` gives the same ones.
    pub(super) fn new(start: u64, seeds: Vec<Vec<u8>>) -> Self {
        Self { random: StdRng::seed_from_u64(start), seeds }
    }

    /// One more input.
    pub(super) fn next(&mut self) -> Vec<u8> {
        let mut input = self.seeds.choose(&mut self.random).cloned().unwrap_or_default();
        for _ in 0..self.random.random_range(1..=6) {
            self.change(&mut input);
        }
        input.truncate(MAX_BYTES);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.random.random_range(0..=input.len());
        match self.random.random_range(0..7) {
            0 => self.flip(input),
            1 => {
                let token = TOKENS.choose(&mut self.random).copied().unwrap_or_default();
                input.splice(at..at, token.iter().copied());
            }
            2 => drop(input.drain(at..self.end(at, input))),
            3 => {
                let piece = input[at..self.end(at, input)].to_vec();
                input.splice(at..at, piece);
            }
            4 => {
                let other = self.seeds.choose(&mut self.random).cloned().unwrap_or_default();
                input.truncate(at);
                let from = self.random.random_range(0..=other.len());
                input.extend_from_slice(&other[from..]);
            }
            5 => input.insert(at, self.random.random()),
            _ => input.truncate(at),
        }
    }

    fn flip(&mut self, input: &mut [u8]) {
        if let Some(last) = input.len().checked_sub(1) {
            let at = self.random.random_range(0..=last);
            input[at] ^= 1 << self.random.random_range(0..8);
        }
    }

    /// Where a piece that begins at `at` ends.
    fn end(&mut self, at: usize, input: &[u8]) -> usize {
        (at + self.random.random_range(1..=32)).min(input.len())
    }
}
