//! Every target for some seconds: half of them for what its corpus holds, then inputs that are like those,
//! and any others.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use sha2::{Digest, Sha256};

use super::TARGETS;

fn time() -> Duration {
    Duration::from_secs(if std::env::var_os("MFA_OPERATOR_LONG").is_some() { 60 } else { 5 })
}

/// The same inputs in every run, as far as the time goes: a find of chance would fail a change that it has
/// nothing to do with. `MFA_OPERATOR_SEED` makes others, and `MFA_OPERATOR_LONG` a minute of them.
#[test]
fn no_bytes_make_a_parser_panic() {
    let seed = std::env::var("MFA_OPERATOR_SEED").unwrap_or_default();
    std::thread::scope(|scope| {
        for (name, target) in TARGETS {
            let seed = Sha256::digest(format!("{seed} {name}"));
            scope.spawn(move || {
                let fell = inputs(name, &seed)
                    .find(|input| catch_unwind(AssertUnwindSafe(|| target(input))).is_err());
                assert_eq!(fell, None, "the target {name} panics at this input");
            });
        }
    });
}

/// Of the corpus and then of others, as many as the time allows.
fn inputs(name: &str, seed: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let corpus = corpus(name);
    let mut runner =
        TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, seed));
    let half = Instant::now() + time() / 2;
    let end = half + time() / 2;
    let like = corpus.clone();
    let more = std::iter::from_fn(move || {
        let any = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), vec(any::<u8>(), 0..48));
        let (which, place, mut new) = any.new_tree(&mut runner).expect("it is no filter").current();
        if let Some(known) = like.get(which.index(like.len() * 2 + 1)) {
            let place = place.index(known.len() + 1);
            new.truncate(8);
            let after = known.get(place + new.len()..).unwrap_or_default();
            new = [&known[..place], &new, after].concat();
        }
        (Instant::now() < end).then_some(new)
    });
    corpus.into_iter().take_while(move |_| Instant::now() < half).chain(more)
}

/// An input a line, in hexadecimal digits.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(format!("{name}.hex"));
    let text = std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{}: {error}: scripts/fuzz makes it", file.display()));
    let byte = |digits: &[u8]| {
        u8::from_str_radix(std::str::from_utf8(digits).expect("ASCII"), 16).expect("two digits")
    };
    text.lines().map(|line| line.as_bytes().chunks(2).map(byte).collect()).collect()
}
