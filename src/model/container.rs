//! A container of a pod or of a pod template, and the files that it reads.

use smol_str::SmolStr;

use crate::api;
use crate::model::bounded::Bounded;
use crate::model::override_sources::OverrideSources;
use crate::model::replacement::Traits;
use crate::model::{EnvSource, FileSource, UnreadFile};
use crate::server::kratos::runs_kratos;

impl crate::model::container::MountedFile {
    /// Whether it is the rendered file of this config map.
    #[must_use]
    pub fn is_of(&self, config_map: &str) -> bool {
        *self.config_map == *config_map && self.key == api::CONFIG_KEY
    }
}

impl Container {
    /// The configuration file that counts, if it is from a config map, and known.
    pub fn last_file(&self) -> Option<&crate::model::container::MountedFile> {
        if self.files.more { None } else { self.files.last()?.as_ref() }
    }

    /// Whether it reads the rendered file of this config map after every other.
    #[must_use]
    pub fn reads_last(&self, config_map: &str) -> bool {
        self.last_file().is_some_and(|file| file.is_of(config_map))
    }
}

/// Those of a pod.
pub type Containers = Bounded<Container, 16>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    pub name: SmolStr,
    pub image: SmolStr,
    /// Only variables that a policy may set, and those that rules look at beside them.
    pub env: Bounded<EnvVar, 64>,
    /// The configuration files that its command line names, in their order; none for one that is
    /// not from a config map.
    pub files: Bounded<Option<MountedFile>, 16>,
    /// None for the usual container: it is held ten thousand times.
    pub unusual: Option<Box<OverrideSources>>,
    pub traits: Traits,
}

impl Container {
    /// Whether it is an identity server that answers sign-in: its words say so, or it has none, and then the
    /// image's own do.
    #[must_use]
    pub fn is_server(&self, server_images: &[String]) -> bool {
        (self.traits.serves || self.traits.by_image) && runs_kratos(&self.image, server_images)
    }
}

/// A file from a config map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountedFile {
    pub config_map: SmolStr,
    pub key: SmolStr,
    /// The kubelet brings it up to date in a running pod.
    pub reloads: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvVar {
    pub name: SmolStr,
    /// Value as written in the template, before Kubernetes expands it. None for `valueFrom`.
    pub value: Option<SmolStr>,
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
            size_of::<OverrideSources>() + names + sources.sum::<usize>() + unread.sum::<usize>()
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
        let beyond = |unusual: &OverrideSources| {
            unusual.aliases.more || unusual.in_command.more || unusual.env_from.more
        };
        self.env.more || self.unusual.as_deref().is_some_and(beyond)
    }
}
