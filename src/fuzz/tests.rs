//! Every target for some seconds: what its corpus holds first, then inputs that are like those, and any others.

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

/// The same inputs in every run, as far as the time goes: a find of chance would fail a change that it has nothing to do with.
/// `MFA_OPERATOR_SEED` makes others, and `MFA_OPERATOR_LONG` a minute of them.
#[test]
fn no_bytes_make_a_parser_panic() {
    let seed = std::env::var("MFA_OPERATOR_SEED").unwrap_or_default();
    std::thread::scope(|scope| {
        for (name, target) in TARGETS {
            let seed = Sha256::digest(format!("{seed} {name}"));
            scope.spawn(move || {
                let fell = inputs(name, &seed).find(|input| catch_unwind(AssertUnwindSafe(|| target(input))).is_err());
                assert_eq!(fell, None, "the target {name} panics at this input");
            });
        }
    });
}

/// Of the corpus, and then as many as the time allows.
fn inputs(name: &str, seed: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let corpus = corpus(name);
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, seed));
    let end = Instant::now() + time();
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
    corpus.into_iter().chain(more)
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("each target has a corpus").map(|entry| entry.expect("it can be listed").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{name} has no corpus: scripts/fuzz makes one");
    files.iter().map(|file| std::fs::read(file).expect("it can be read")).collect()
}
