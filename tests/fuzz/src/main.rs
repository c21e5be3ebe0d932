//! libFuzzer over one target of `mfa_operator::fuzz`, the one that MFA_OPERATOR_TARGET names.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static NAME: LazyLock<String> = LazyLock::new(|| std::env::var("MFA_OPERATOR_TARGET").expect("MFA_OPERATOR_TARGET names a target"));

fuzz_target!(|input: &[u8]| assert!(mfa_operator::fuzz::run(&NAME, input), "there is no target {}", *NAME));
