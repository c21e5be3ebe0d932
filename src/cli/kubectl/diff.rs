//! `kubectl mfa diff`: asks the API server what it would store (admission has its say, nothing is
//! written), and the operator's own decision what would follow from it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use kube::Resource as _;
use kube::api::{DynamicObject, PostParams};
use kube::core::Request;
use kube::core::response::Status;
use serde_json::Value;

use crate::api::{self, MfaPolicySpec};
use crate::cli::kubectl::cluster::{Cluster, policy_resource};
use crate::cli::kubectl::edit::MANAGER;
use crate::cli::kubectl::failure::{Ended, Failure, reached, words};
use crate::cli::kubectl::foreseen::{Difference, Previewed, fields, screen};
use crate::cli::kubectl::screen::Style;
use crate::cli::kubectl::terminal::note;
use crate::cli::output::{show, tell};
use crate::controller::{Error, Preview, foresee};
use crate::document;
use crate::model::bounded;
use crate::policy::parse;
use crate::server::kratos::{Overlay, transition};

const DIFFERENT: u8 = 1;

const REFUSED: u8 = 2;

/// More than the status changes in a row.
const TRIES: u32 = 5;

#[derive(Args)]
pub struct Options {
    /// Files and folders with policies, as they would be applied; - reads standard input
    #[arg(short, long, value_name = "PATH", required = true)]
    filename: Vec<PathBuf>,

    /// What the operator's --server-images says
    #[arg(long, value_name = "IMAGES", value_delimiter = ',', default_value = "kratos,kratos-oel")]
    server_images: Vec<String>,
}

pub async fn run(cluster: &Cluster, style: &Style, options: &Options) -> Ended {
    let mut code = 0;
    let mut policies = 0;
    for path in &options.filename {
        for file in crate::cli::check::files(path).map_err(|error| format!("{}: {error}", path.display()))? {
            let text =
                crate::cli::input::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            let wrong = |error: document::NotYaml| {
                format!("{}:{}:{}: {}", file.display(), error.place.line, error.place.column, error.message)
            };
            let documents = document::read(&text).map_err(wrong)?;
            for object in documents.iter().flat_map(|document| objects(&document.value)) {
                policies += 1;
                code = code.max(match one(cluster, style, options, object).await {
                    Ok(code) => code,
                    Err(error) => {
                        let name = object["metadata"]["name"].as_str().unwrap_or_default();
                        let why = words(&*reached(error, &cluster.server));
                        tell(&format!(
                            "error: {}\n",
                            bounded(&format!("{}: policy {name}: {why}", file.display()))
                        ));
                        REFUSED
                    }
                });
            }
        }
    }
    if policies == 0 {
        return Err(format!("there is no {} in what was named", api::KIND).into());
    }
    Ok(ExitCode::from(code))
}

/// The policies of a document, those of a list included.
fn objects(value: &Value) -> Vec<&Value> {
    match value["kind"].as_str() {
        Some(api::KIND) => vec![value],
        Some("List") => value["items"].as_array().into_iter().flatten().flat_map(objects).collect(),
        _ => Vec::new(),
    }
}

async fn one(cluster: &Cluster, style: &Style, options: &Options, object: &Value) -> Result<u8, Failure> {
    let name = object["metadata"]["name"].as_str().ok_or("it has no metadata.name")?;
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or(&cluster.namespace);
    let cluster = Cluster {
        client: cluster.client.clone(),
        namespace: namespace.into(),
        server: cluster.server.clone(),
    };
    let mut tries = 0;
    let (stored, edited, judged) = loop {
        let stored = cluster.policies().get_opt(name).await?.map(serde_json::to_value).transpose()?;
        let asked = as_applied(object, stored.as_ref(), namespace);
        tries += 1;
        match dry_run(&cluster, name, &asked, stored.is_some()).await {
            Ok(answer) => break (stored, answer, true),
            Err(kube::Error::Api(status)) if is_without_right(&status) => {
                let edited = judge(name, &asked, stored.as_ref())?;
                break (stored, edited, false);
            }
            // The operator wrote its status meanwhile.
            Err(kube::Error::Api(status))
                if (status.is_conflict() || status.is_already_exists()) && tries < TRIES => {}
            Err(error) => return Err(error.into()),
        }
    };
    if !judged {
        note(&["you may not apply it, so that the API server did not judge it; the rules of its definition were checked here".into()]);
    }
    let nothing = Value::Null;
    let before = stored.as_ref().unwrap_or(&nothing);
    let mut changed = Vec::new();
    for part in ["labels", "annotations"] {
        changed.extend(fields(
            &format!("metadata.{part}"),
            &before["metadata"][part],
            &edited["metadata"][part],
        ));
    }
    changed.extend(fields("spec", &before["spec"], &edited["spec"]));
    if changed.is_empty() {
        return Ok(0);
    }
    let mut difference = Difference {
        namespace: namespace.into(),
        name: name.into(),
        is_new: stored.is_none(),
        fields: changed,
        ..Difference::default()
    };
    match foresee(cluster.client.clone(), options.server_images.clone().into(), &edited, &versions(before))
        .await
    {
        Ok(foreseen) => add(&cluster, &mut difference, foreseen).await?,
        Err(Error::Api(kube::Error::Api(status))) if status.is_forbidden() => note(&[status.message]),
        Err(Error::Api(error)) => return Err(error.into()),
        Err(error) => return Err(error.into()),
    }
    show(&screen(style, &difference))?;
    Ok(if difference.rejections.is_empty() { DIFFERENT } else { REFUSED })
}

async fn add(cluster: &Cluster, difference: &mut Difference, foreseen: Preview) -> Result<(), Failure> {
    let mut not_seen = Vec::new();
    let mut effects = Vec::new();
    for effect in foreseen.effects {
        let rolls = effect.rolls.is_some_and(|wanted| wanted > 0) && !effect.selector.is_empty();
        let pods = if rolls { cluster.pod_names(&effect.selector, &mut not_seen).await? } else { None };
        effects.push(Previewed { effect, pods });
    }
    note(&not_seen);
    difference.rejections = foreseen.rejections;
    difference.effects = Some(effects);
    Ok(())
}

/// The object as an apply leaves it whose file is all that anybody says of the spec.
fn as_applied(object: &Value, stored: Option<&Value>, namespace: &str) -> Value {
    let mut asked = stored.cloned().unwrap_or_else(|| object.clone());
    asked["metadata"]["namespace"] = namespace.into();
    asked["spec"] = object["spec"].clone();
    // Something else in the file is the API server's to refuse.
    for (field, value) in object.as_object().into_iter().flatten() {
        if !matches!(field.as_str(), "metadata" | "spec" | "status") {
            asked[field] = value.clone();
        }
    }
    for part in ["labels", "annotations"] {
        for (key, value) in object["metadata"][part].as_object().into_iter().flatten() {
            asked["metadata"][part][key] = value.clone();
        }
    }
    asked
}

/// What the API server would store.
async fn dry_run(cluster: &Cluster, name: &str, asked: &Value, exists: bool) -> kube::Result<Value> {
    let params = PostParams { dry_run: true, field_manager: Some(MANAGER.into()) };
    let path = DynamicObject::url_path(&policy_resource(), Some(&cluster.namespace));
    let data = serde_json::to_vec(asked).map_err(kube::Error::SerdeError)?;
    let request = Request::new(path);
    let request = if exists { request.replace(name, &params, data) } else { request.create(&params, data) };
    let mut request = request.map_err(kube::Error::BuildRequest)?;
    // An unknown field is a mistake, not something to drop.
    if let Ok(uri) = format!("{}&fieldValidation=Strict", request.uri()).parse() {
        *request.uri_mut() = uri;
    }
    cluster.client.request(request).await
}

/// Whether the refusal is of the right to write, and not of what is written.
fn is_without_right(status: &Status) -> bool {
    status.is_forbidden()
        && ["cannot update resource", "cannot create resource"]
            .iter()
            .any(|words| status.message.contains(words))
}

/// The rules of the definition, as this program knows them.
fn judge(name: &str, asked: &Value, stored: Option<&Value>) -> Result<Value, Failure> {
    let spec: MfaPolicySpec = serde_json::from_value(asked["spec"].clone())?;
    let policy = parse(name, &spec);
    let old = stored.and_then(|stored| serde_json::from_value::<MfaPolicySpec>(stored["spec"].clone()).ok());
    let old = old.and_then(|old| parse(name, &old).ok()).map(|old| Overlay::of(&old)).unwrap_or_default();
    let rejections = policy.map_or_else(|rejections| rejections, |policy| transition(&old, &policy));
    if !rejections.is_empty() {
        return Err(rejections.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ").into());
    }
    let mut edited = asked.clone();
    edited["spec"] = serde_json::to_value(&spec)?;
    if stored.is_none_or(|stored| stored["spec"] != edited["spec"]) {
        edited["metadata"]["generation"] =
            (edited["metadata"]["generation"].as_i64().unwrap_or_default() + 1).into();
    }
    Ok(edited)
}

/// Kind, name and version of each server that the status knows.
fn versions(stored: &Value) -> Vec<(String, String, String)> {
    let status: api::MfaPolicyStatus = serde_json::from_value(stored["status"].clone()).unwrap_or_default();
    status
        .targets
        .into_iter()
        .filter_map(|target| Some((target.kind, target.name, target.server_version?)))
        .collect()
}
