//! What few containers have, and what matters because it may beat a policy. Names only: values may be
//! secrets.

use smol_str::SmolStr;

use crate::model::bounded::Bounded;
use crate::model::key::Millis;

/// What may beat a policy, and what cannot be looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OverrideSources {
    /// Variables that write a key that rules look at, by another name than its own.
    pub aliases: Bounded<SmolStr, 16>,
    /// Such variables, by whatever name, that the command line sets or removes.
    pub in_command: Bounded<SmolStr, 16>,
    /// Objects whose every key becomes a variable, where one may be such a variable.
    pub env_from: Bounded<EnvSource, 16>,
    /// Its configuration files that are from no config map.
    pub unread: Bounded<UnreadFile, 16>,
}

impl OverrideSources {
    /// None where there is nothing.
    #[must_use]
    pub fn boxed(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

/// A source of variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvSource {
    ConfigMap { name: SmolStr, prefix: SmolStr },
    Secret { name: SmolStr, prefix: SmolStr },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadFile {
    /// Its place among the configuration files.
    pub at: usize,
    pub path: SmolStr,
    pub source: FileSource,
}

/// Where a file comes from that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileSource {
    Secret(SmolStr),
    /// A volume of another kind, by its name.
    Volume(SmolStr),
    /// A config map, in a form that is not read.
    Toml,
    /// It may be in one of more mounts than are kept.
    Beyond,
    /// The image, or a place that cannot be told.
    Elsewhere,
}

/// What was read of the config maps that a container takes variables from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvFrom {
    pub sources: Vec<EnvFromMap>,
    /// When they are read again.
    pub until: Option<Millis>,
}

impl EnvFrom {
    /// Variables from this source, of those that write a key that rules look at. None where that is not
    /// known.
    #[must_use]
    pub fn names(&self, source: &EnvSource) -> Option<&[SmolStr]> {
        self.sources.iter().find(|read| read.source == *source)?.names.as_deref()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvFromMap {
    pub source: EnvSource,
    /// Variables that come from it, of those that write a key that rules look at. None where it may not be
    /// read.
    pub names: Option<Vec<SmolStr>>,
}

impl EnvSource {
    /// Name of the object.
    #[must_use]
    pub fn name(&self) -> &SmolStr {
        match self {
            Self::ConfigMap { name, .. } | Self::Secret { name, .. } => name,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::model::fixtures::{container, workload};
    use crate::model::{Container, Traits, Workload};

    #[test]
    fn of_what_no_policy_governs_only_name_and_image_are_held() {
        let kratos = container(&[("SESSION_WHOAMI_REQUIRED_AAL", "aal1")]);
        let proxy = Container { name: "proxy".into(), image: "envoy:1".into(), ..kratos.clone() };
        let whole = Workload { containers: vec![kratos.clone(), proxy.clone()].into(), ..workload(1) };
        let images = ["kratos".to_owned()];
        let held = whole.clone().of_interest(&images).containers;
        assert_eq!(held[0], kratos);
        assert_eq!(held[1], Container { traits: Traits::default(), ..proxy.unknown() });
        assert!(
            held[1].env.is_empty() && held[1].hides_variables() && held[1].files.more,
            "the rest is unknown, not absent"
        );
        // All of it matters where something of ours is in it, and once somebody declares it a server.
        let mut ours = whole.clone();
        ours.own.env = vec![("proxy".into(), "SESSION_WHOAMI_REQUIRED_AAL".into())].into();
        for workload in [ours, Workload { allowed: true, ..whole }] {
            assert_eq!(workload.clone().of_interest(&images), workload);
        }
    }
}
