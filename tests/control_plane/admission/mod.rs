//! The admission table: resources and edits, each with the verdict that the API server must reach
//! by the rules of the definition, and this library by the same rules in Rust.
//!
//! The YAML files beside this one hold the cases; `case.rs` tells how they are written.

mod case;
mod coverage;
mod files;
mod local;
mod server;

use case::{Case, Expected, Verdict};
use server::Server;

use crate::support::control_plane::definition;

#[tokio::test]
async fn the_api_server_judges_every_case_as_told() {
    let server = Server::start().await;
    let mut wrong = Vec::new();
    let mut refusals = Vec::new();
    for case in case::all() {
        let verdict = server.judge(&case).await;
        wrong.extend(complaint(&case, &verdict));
        if let Verdict::Refused(words) = verdict {
            refusals.push(words);
        }
    }
    report(&wrong);
    let untried = coverage::untried(&definition(), &refusals);
    assert!(untried.is_empty(), "no case is refused by\n{}", untried.join("\n"));
}

#[test]
fn the_library_judges_every_case_alike() {
    let cases = case::all().into_iter().filter(|case| case.expected != Expected::RefusedIfStrict);
    let wrong: Vec<_> = cases
        .filter_map(|case| {
            let verdict = local::judge(&case);
            match (&case.expected, &verdict) {
                // The schema has the API server's own words.
                (Expected::RefusedBySchema, Verdict::Refused(_)) => None,
                _ => complaint(&case, &verdict),
            }
        })
        .collect();
    report(&wrong);
}

/// What is wrong with `verdict`, if anything is.
fn complaint(case: &Case, verdict: &Verdict) -> Option<String> {
    let right = match (&case.expected, verdict) {
        (Expected::Accepted, Verdict::Accepted) => true,
        (Expected::Accepted, Verdict::Refused(_)) | (_, Verdict::Accepted) => false,
        (_, Verdict::Refused(words)) => words.contains(&case.words),
    };
    (!right).then(|| {
        format!(
            "{}: {}\n  expected {:?} {}\n  but {verdict:?}",
            case.topic, case.name, case.expected, case.words
        )
    })
}

fn report(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} cases are judged otherwise:\n{}", wrong.len(), wrong.join("\n"));
}
