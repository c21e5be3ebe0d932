//! What few containers have, and what matters because it may beat a policy. Names only: values may be
//! secrets.

use smol_str::SmolStr;

use crate::model::bounded::Bounded;
use crate::model::container::{Container, EnvVar, MountedFile};
use crate::model::key::Millis;
use crate::model::replacement::Traits;
use crate::model::workload::Workload;
use crate::server::kratos::runs_kratos;

/// What may beat a policy, and what cannot be looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unusual {
    /// Variables that write a key that rules look at, by another name than its own.
    pub aliases: Bounded<SmolStr, 16>,
    /// Such variables, by whatever name, that the command line sets or removes.
    pub in_command: Bounded<SmolStr, 16>,
    /// Objects whose every key becomes a variable, where one may be such a variable.
    pub env_from: Bounded<EnvSource, 16>,
    /// Its configuration files that are from no config map.
    pub unread: Bounded<UnreadFile, 16>,
}

impl Unusual {
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

impl Workload {
    /// Of containers that are no server, and that nobody declares one, only name and image, unless something
    /// of ours is in them: a policy governs none of them.
    #[must_use]
    pub fn of_interest(mut self, server_images: &[String]) -> Self {
        if self.allowed || self.own.env.more {
            return self;
        }
        let has_ours =
            |container: &Container| self.own.env.iter().any(|(inside, _)| *inside == container.name);
        let slim = |container: Container| {
            let matters = runs_kratos(&container.image, server_images) || has_ours(&container);
            Some(if matters {
                container
            } else {
                Container { traits: Traits::default(), ..container.unknown() }
            })
        };
        self.containers = std::mem::take(&mut self.containers).filter_map(slim);
        self
    }
}

impl Container {
    /// Bytes that it takes on the heap beside its name and image, or few more.
    #[must_use]
    pub fn weight(&self) -> usize {
        const OF_A_TEXT: usize = 24;
        let text = |text: &SmolStr| OF_A_TEXT + text.len();
        let texts =
            |texts: &[SmolStr]| texts.iter().map(|own| size_of::<SmolStr>() + text(own)).sum::<usize>();
        let env = self.env.iter().map(|entry| size_of::<EnvVar>() + entry.value.as_ref().map_or(0, text));
        let files = self.files.iter().map(|file| {
            size_of::<Option<MountedFile>>()
                + file.as_ref().map_or(0, |file| text(&file.config_map) + text(&file.key))
        });
        let unusual = self.unusual.as_ref().map_or(0, |unusual| {
            let sources = unusual.env_from.iter().map(|source| {
                let (EnvSource::ConfigMap { name, prefix } | EnvSource::Secret { name, prefix }) = source;
                size_of::<EnvSource>() + text(name) + text(prefix)
            });
            let unread = unusual.unread.iter().map(|file| {
                let source = match &file.source {
                    FileSource::Secret(name) | FileSource::Volume(name) => text(name),
                    FileSource::Toml | FileSource::Beyond | FileSource::Elsewhere => 0,
                };
                size_of::<UnreadFile>() + text(&file.path) + source
            });
            let names = texts(&unusual.aliases) + texts(&unusual.in_command);
            size_of::<Unusual>() + names + sources.sum::<usize>() + unread.sum::<usize>()
        });
        env.sum::<usize>() + files.sum::<usize>() + unusual
    }

    /// Only its name and image: what else it has is unknown.
    #[must_use]
    pub fn unknown(self) -> Self {
        Self { env: Bounded::unknown(), files: Bounded::unknown(), unusual: None, ..self }
    }

    /// Whether any variable may be set by something that is not kept.
    #[must_use]
    pub fn hides_variables(&self) -> bool {
        let beyond =
            |unusual: &Unusual| unusual.aliases.more || unusual.in_command.more || unusual.env_from.more;
        self.env.more || self.unusual.as_deref().is_some_and(beyond)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures::{container, workload};

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
