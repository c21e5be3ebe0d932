//! The verdict of the library, which needs no cluster.

use mfa_operator::api::MfaPolicy;
use mfa_operator::policy::{self, Policy, Rejection};
use mfa_operator::server::kratos::{Overlay, transition};
use serde_json::Value;

use super::case::{Case, Verdict};

pub fn judge(case: &Case) -> Verdict {
    let rejections = match parse(&case.new) {
        Err(words) => return Verdict::Refused(words),
        Ok((_, Err(rejections))) => rejections,
        Ok((_, Ok(policy))) => {
            case.old.as_ref().map(|old| transition(&overlay(old), &policy)).unwrap_or_default()
        }
    };
    if rejections.is_empty() { Verdict::Accepted } else { Verdict::Refused(join(&rejections)) }
}

/// The resource of `object`, if it is one, and what its rules say.
fn parse(object: &Value) -> Result<(MfaPolicy, Result<Policy, Vec<Rejection>>), String> {
    let resource: MfaPolicy = serde_json::from_value(object.clone()).map_err(|error| error.to_string())?;
    let policy = policy::parse(resource.metadata.name.as_deref().unwrap_or_default(), &resource.spec);
    Ok((resource, policy))
}

fn overlay(old: &Value) -> Overlay {
    let (_, policy) = parse(old).expect("what was stored is a resource");
    Overlay::of(
        &policy
            .unwrap_or_else(|rejections| panic!("what was stored had been accepted: {}", join(&rejections))),
    )
}

fn join(rejections: &[Rejection]) -> String {
    rejections.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
