//! What no version of any object may say, whatever happens: judged over all versions that a watch saw, in
//! their order.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Spec;
use crate::objects::{SETTINGS, WHOAMI, env, generation};
use crate::scene::{condition, identity, text};

pub const MAX_AGE: &str = "SELFSERVICE_FLOWS_SETTINGS_PRIVILEGED_SESSION_MAX_AGE";
const REVISION: &str = "REVISION";
const NAMES: [&str; 4] = [SETTINGS, WHOAMI, MAX_AGE, REVISION];

/// What was asked for in one step. It is noted before it is asked.
#[derive(Debug, Default)]
pub struct Asked {
    /// Of each policy, the spec at the beginning and those that followed.
    pub specs: BTreeMap<&'static str, Vec<Spec>>,
    /// Workloads that no policy named at some time.
    pub let_go: BTreeSet<String>,
    /// For how many changes each workload may be rolled.
    pub changes: BTreeMap<String, usize>,
}

/// What of a workload the operator may write.
#[derive(Clone, Debug, Default)]
struct Template {
    uid: String,
    /// As they stand there, whoever wrote them.
    values: BTreeMap<String, String>,
    /// Names of those that are the operator's.
    own: BTreeSet<String>,
}

impl Template {
    fn of(workload: &Value) -> Self {
        let mut values = env(workload, "kratos");
        values.retain(|name, _| NAMES.contains(&&**name));
        Self { uid: text(&workload["metadata"]["uid"]), values, own: own(workload) }
    }

    /// Whether all that is the operator's stands in one spec.
    fn has_of(&self, spec: &Spec) -> bool {
        let asked = spec.variables();
        self.own
            .iter()
            .all(|name| asked.get(&**name).is_none_or(|value| self.values.get(name) == Some(value)))
    }
}

/// Names of the variables whose values the operator applied.
pub fn own(workload: &Value) -> BTreeSet<String> {
    let entries = workload["metadata"]["managedFields"].as_array().into_iter().flatten();
    let applied = entries.filter(|entry| entry["manager"] == "mfa-operator" && entry["operation"] == "Apply");
    let env = applied.filter_map(|entry| {
        entry["fieldsV1"]
            .pointer("/f:spec/f:template/f:spec/f:containers/k:{\"name\":\"kratos\"}/f:env")
            .and_then(Value::as_object)
    });
    let name = |key: &String| {
        serde_json::from_str::<Value>(key.strip_prefix("k:")?).ok().map(|key| text(&key["name"]))
    };
    let valued = env.flat_map(|env| env.iter().filter(|(_, fields)| fields.get("f:value").is_some()));
    valued.filter_map(|(key, _)| name(key)).collect()
}

pub fn version(object: &Value) -> u64 {
    text(&object["metadata"]["resourceVersion"]).parse().expect("a version is a number")
}

/// What is known of the workloads when a step begins, by their names.
#[derive(Debug, Default)]
pub struct Judge {
    now: BTreeMap<String, Template>,
    /// The one spec under each revision.
    revisions: BTreeMap<String, Spec>,
}

impl Judge {
    /// Goes through the versions of one step, which are sorted. Where some were missed, no status is judged.
    pub fn step(&mut self, asked: &mut Asked, versions: &[Value], all: bool) -> Result<(), String> {
        let mut seen: BTreeMap<String, Vec<Template>> =
            self.now.iter().map(|(name, template)| (name.clone(), vec![template.clone()])).collect();
        for object in versions {
            let (kind, name) = identity(object);
            let judged = match &*kind {
                "Deployment" => {
                    let judged = self.workload(asked, &name, object);
                    seen.entry(name).or_default().push(Template::of(object));
                    judged
                }
                _ if all => status(asked, &seen, object),
                _ => Ok(()),
            };
            judged.map_err(|complaint| format!("{complaint}:\n{object}"))?;
        }
        Ok(())
    }

    fn workload(&mut self, asked: &mut Asked, name: &str, object: &Value) -> Result<(), String> {
        let new = Template::of(object);
        let old =
            self.now.insert(name.into(), new.clone()).filter(|old| old.uid == new.uid).unwrap_or_default();
        let specs = asked.specs.get(super::policy_of(name)).map(Vec::as_slice).unwrap_or_default();
        let of = specs.iter().rposition(|spec| new.has_of(spec));
        if of.is_none() && !new.own.is_empty() {
            return Err(format!("{name} has {:?}, as none of {specs:?}", new.values));
        }
        if of.is_some() && of < specs.iter().position(|spec| old.has_of(spec)) {
            return Err(format!(
                "{name} has an older spec than before: {:?} after {:?} of {specs:?}",
                new.values, old.values
            ));
        }
        if let (Some(revision), Some(of), true) = (new.values.get(REVISION), of, new.own.contains(MAX_AGE)) {
            let known = self.revisions.entry(revision.clone()).or_insert_with(|| specs[of].clone());
            if *known != specs[of] {
                return Err(format!("{name} has {:?} under the revision {revision} of {known:?}", specs[of]));
            }
        }
        // Nobody else takes these away.
        let lost =
            |variable: &&str| old.values.contains_key(*variable) && !new.values.contains_key(*variable);
        let taken_back = [SETTINGS, REVISION].iter().any(lost);
        if taken_back && !asked.let_go.contains(name) {
            return Err(format!("{name} lost {:?}, though it is named", old.values));
        }
        if taken_back || new.own.iter().any(|own| new.values.get(own) != old.values.get(own)) {
            let left = asked.changes.entry(name.into()).or_default();
            *left = left
                .checked_sub(1)
                .ok_or_else(|| format!("{name} is rolled more often than anything changed"))?;
        }
        Ok(())
    }
}

/// Whether a status says what no template said since the step began.
fn status(asked: &Asked, seen: &BTreeMap<String, Vec<Template>>, policy: &Value) -> Result<(), String> {
    let none = Vec::new();
    let templates = |name: &str| seen.get(name).unwrap_or(&none);
    for target in policy["status"]["targets"].as_array().into_iter().flatten() {
        let name = text(&target["name"]);
        for (field, variable) in [("settings", SETTINGS), ("whoami", WHOAMI)] {
            let told = text(&target["requiredAAL"][field]);
            let so = |template: &Template| template.values.get(variable) == Some(&told);
            if !told.is_empty() && told != "Unknown" && !templates(&name).iter().any(so) {
                return Err(format!("{name} is said to have {field} {told}, which no template had"));
            }
        }
        let revision = text(&target["revision"]);
        let so = |template: &Template| template.values.get(REVISION) == Some(&revision);
        if name != "reader" && !revision.is_empty() && !templates(&name).iter().any(so) {
            return Err(format!("{name} is said to have the revision {revision}, which no template had"));
        }
    }
    let ready = condition(policy, "Ready").filter(|ready| ready["status"] == "True");
    let Some(ready) = ready.filter(|ready| ready["observedGeneration"] == generation(policy)) else {
        return Ok(());
    };
    let name = text(&policy["metadata"]["name"]);
    let specs = asked.specs.iter().filter(|(policy, _)| **policy == name).flat_map(|(_, specs)| specs);
    let Some(spec) =
        specs.clone().find(|spec| spec.age() == text(&policy["spec"]["privilegedSessionMaxAge"]))
    else {
        return Err(format!("{name} has a spec that nobody wrote: none of {:?}", specs.collect::<Vec<_>>()));
    };
    for target in policy["spec"]["targetRefs"].as_array().into_iter().flatten() {
        let name = text(&target["name"]);
        let had = |template: &Template| {
            spec.variables().iter().all(|(name, value)| template.values.get(*name) == Some(value))
        };
        if !templates(&name).iter().any(had) {
            return Err(format!("it is {ready}, and {name} never had {spec:?}"));
        }
    }
    Ok(())
}
