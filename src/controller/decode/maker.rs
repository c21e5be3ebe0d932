//! What a ReplicaSet and a ControllerRevision say of the pods that they make. Others may write them: what
//! cannot be read, or is larger than any that is honest, is not known.

use serde::Deserialize;
use serde_json::Value;
use smol_str::SmolStr;

use crate::controller::decode::content::{ConfigMaps, config_maps, of_container, of_template};
use crate::controller::decode::metadata;
use crate::controller::decode::seen::decode;
use crate::model::{Bounded, Container};

/// Largest maker that is decoded, in bytes of JSON: room for a template of some hundred variables.
const LARGEST: usize = 256 * 1024;

/// Longest word of an owner that is kept, in bytes: no name of an object is longer, and no kind.
const LONGEST: usize = 253;

/// Containers of one pod whose image can be told.
const CONTAINERS: usize = 16;

/// The controller that an object names as its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub kind: SmolStr,
    pub name: SmolStr,
    pub uid: SmolStr,
}

/// What makes pods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maker {
    /// None where it has none, and where it is not there or cannot be read.
    pub owner: Option<Owner>,
    /// By what the owner is known.
    pub known_by: KnownBy,
    pub template: Option<Template>,
}

/// By what it is known who owns a maker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KnownBy {
    /// The maker was read.
    #[default]
    Itself,
    /// It may not be read, and has a name as the owner gives: so may that of anybody else.
    Name,
}

/// A pod template, as far as it has to be told from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Digest of all that its pods are made from, our fields aside.
    pub digest: SmolStr,
    /// Hashes of each container's name and image.
    containers: Box<[u64]>,
}

impl Template {
    /// Whether its pods run this container, by its image: what admission makes of that in a pod does not
    /// matter.
    pub fn runs(&self, container: &Container) -> bool {
        self.containers.contains(&of_container(&container.name, &container.image))
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Head {
    metadata: Metadata,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    uid: String,
    owner_references: Bounded<metadata::Owner, 32>,
}

impl Owner {
    /// The one that controls. Of more than are kept it may be any.
    pub fn of(owners: &Bounded<metadata::Owner, 32>) -> Option<Self> {
        let short = |text: &str| text.chars().take(LONGEST).collect();
        let any = || {
            owners.more.then(|| Self {
                kind: "one".into(),
                name: "of many owners".into(),
                uid: SmolStr::default(),
            })
        };
        let found = owners.iter().find(|owner| owner.controller);
        found
            .map(|owner| Self { kind: short(&owner.kind), name: short(&owner.name), uid: short(&owner.uid) })
            .or_else(any)
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Body {
    /// Spec of a ReplicaSet.
    spec: Option<Spec>,
    /// Data of a ControllerRevision.
    data: Option<Data>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Data {
    spec: Option<Spec>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Spec {
    template: Option<Value>,
}

/// What the pods of a workload are made from, as far as its template says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Making {
    /// Digest of the template, our fields aside.
    pub digest: SmolStr,
    pub config_maps: ConfigMaps,
}

impl Making {
    /// Decodes the workload with this uid from JSON. None where it is another, or cannot be read.
    pub fn read(json: &str, uid: &str, server: &str) -> Option<Self> {
        let is_it = decode(json).is_ok_and(|head: Head| *head.metadata.uid == *uid);
        let template = stored(json).filter(|_| is_it)?;
        let config_maps = config_maps(&template, server);
        Some(Self { digest: of_template(template), config_maps })
    }
}

impl Maker {
    /// Decodes a maker from JSON. A ReplicaSet counts only if it has this uid.
    pub fn read(json: &str, uid: Option<&str>) -> Self {
        let Ok(Head { metadata }) = decode(json) else { return Self::default() };
        if uid.is_some_and(|uid| *uid != *metadata.uid) {
            return Self::default();
        }
        Self {
            owner: Owner::of(&metadata.owner_references),
            known_by: KnownBy::Itself,
            template: template(json),
        }
    }
}

/// The pod template of this object as it is stored.
fn stored(json: &str) -> Option<Value> {
    let body: Body = if json.len() > LARGEST { None } else { decode(json).ok() }?;
    body.spec.or_else(|| body.data?.spec)?.template.filter(Value::is_object)
}

fn template(json: &str) -> Option<Template> {
    let template = stored(json)?;
    let named = |container: &Value| {
        of_container(
            container["name"].as_str().unwrap_or_default(),
            container["image"].as_str().unwrap_or_default(),
        )
    };
    let containers =
        template["spec"]["containers"].as_array().into_iter().flatten().take(CONTAINERS).map(named).collect();
    Some(Template { digest: of_template(template), containers })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Traits;
    use serde_json::json;

    fn replica_set() -> Value {
        let owners = json!([
            {"kind": "Workflow", "name": "other", "uid": "x"},
            {"kind": "Deployment", "name": "kratos", "uid": "y", "controller": true},
        ]);
        json!({
            "metadata": {"uid": "u", "ownerReferences": owners},
            "spec": {"template": {"spec": {"containers": [{"name": "kratos", "image": "oryd/kratos:v1.3.1"}]}}},
        })
    }

    fn read(object: &Value) -> Maker {
        Maker::read(&object.to_string(), Some("u"))
    }

    #[test]
    fn its_owner_is_the_one_that_controls_it() {
        let owner = read(&replica_set()).owner.expect("it has one");
        assert_eq!([&*owner.kind, &*owner.name, &*owner.uid], ["Deployment", "kratos", "y"]);
        let mut free = replica_set();
        free["metadata"]["ownerReferences"][1]["controller"] = json!(false);
        assert_eq!(read(&free).owner, None);
        assert_eq!(
            Maker::read(&replica_set().to_string(), Some("another")),
            Maker::default(),
            "another has its name by now"
        );
    }

    #[test]
    fn a_revision_has_the_template_of_its_pods_too() {
        let revision = json!({"metadata": {"uid": "r"}, "data": {"spec": {"template": replica_set()["spec"]["template"]}}});
        assert_eq!(read_revision(&revision).template, read(&replica_set()).template);
        assert!(read(&replica_set()).template.is_some());
    }

    fn read_revision(object: &Value) -> Maker {
        Maker::read(&object.to_string(), None)
    }

    #[test]
    fn whatever_others_write_is_read_as_far_as_it_goes() {
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        let nested = replica_set()
            .to_string()
            .replace("\"uid\":\"u\"", &format!("\"uid\":\"u\",\"managedFields\":{deep}"));
        assert!(
            Maker::read(&nested, Some("u")).template.is_some(),
            "what is not needed may be nested as it will"
        );
        let nested = replica_set().to_string().replace("\"oryd/kratos:v1.3.1\"", &deep);
        let found = Maker::read(&nested, Some("u"));
        assert!(found.owner.is_some() && found.template.is_none(), "{found:?}");
        let mut large = replica_set();
        large["spec"]["template"]["metadata"] = json!({"annotations": {"filler": "x".repeat(LARGEST)}});
        let found = read(&large);
        assert!(found.owner.is_some() && found.template.is_none(), "{found:?}");
        for (field, part) in [
            ("/metadata/ownerReferences", json!(null)),
            ("/spec", json!(null)),
            ("/spec/template", json!(null)),
        ] {
            let mut half = replica_set();
            *half.pointer_mut(field).expect("it is there") = part;
            let found = read(&half);
            assert!(found.owner.is_none() || found.template.is_none(), "{field}: {found:?}");
        }
        let mut long = replica_set();
        long["metadata"] = json!({"ownerReferences": [{"kind": "x".repeat(1 << 20), "controller": true}]});
        assert!(Maker::read(&long.to_string(), None).owner.expect("it has one").kind.len() <= LONGEST);
        assert_eq!(Maker::read("[", None), Maker::default());
    }

    #[test]
    fn a_container_is_told_by_the_template_and_not_by_what_admission_makes_of_it() {
        let template = read(&replica_set()).template.expect("it has one");
        let container = |name: &str, image: &str| Container {
            name: name.into(),
            image: image.into(),
            env: Bounded::default(),
            files: Bounded::default(),
            unusual: None,
            traits: Traits::default(),
        };
        assert!(template.runs(&container("kratos", "oryd/kratos:v1.3.1")));
        assert!(!template.runs(&container("kratos", "oryd/kratos:v26.2.0")), "it is from before");
        assert!(!template.runs(&container("sidecar", "oryd/kratos:v1.3.1")));
    }
}
