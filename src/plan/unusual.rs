//! What few containers have, and what matters because it may beat a policy. Names only: values may be secrets.

use smol_str::SmolStr;

use super::{Container, EnvVar, Millis, MountedFile};

/// What may beat a policy, and what cannot be looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unusual {
    /// Variables that write a key that rules look at, by another name than its own.
    pub aliases: Vec<SmolStr>,
    /// Such variables, by whatever name, that the command line sets or removes.
    pub in_command: Vec<SmolStr>,
    /// Objects whose every key becomes a variable, where one may be such a variable.
    pub env_from: Vec<EnvSource>,
    /// Its configuration files that are from no config map.
    pub unread: Vec<UnreadFile>,
    /// There is more of it than is kept: any variable may be set.
    pub more: bool,
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
    /// It is among more than are kept.
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
    /// Variables from this source, of those that write a key that rules look at. None where that is not known.
    #[must_use]
    pub fn names(&self, source: &EnvSource) -> Option<&[SmolStr]> {
        self.sources.iter().find(|read| read.source == *source)?.names.as_deref()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvFromMap {
    pub source: EnvSource,
    /// Variables that come from it, of those that write a key that rules look at. None where it may not be read.
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

impl Container {
    /// Bytes that it takes on the heap beside its name and image, or few more.
    #[must_use]
    pub fn weight(&self) -> usize {
        const OF_A_TEXT: usize = 24;
        let text = |text: &SmolStr| OF_A_TEXT + text.len();
        let texts = |texts: &[SmolStr]| texts.iter().map(|own| size_of::<SmolStr>() + text(own)).sum::<usize>();
        let env = self.env.iter().map(|entry| size_of::<EnvVar>() + entry.value.as_ref().map_or(0, text));
        let files = self
            .files
            .iter()
            .map(|file| size_of::<Option<MountedFile>>() + file.as_ref().map_or(0, |file| text(&file.config_map) + text(&file.key)));
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

    /// The same of which nothing else is known.
    #[must_use]
    pub fn unknown(self) -> Self {
        let unread = vec![UnreadFile { at: 0, path: "".into(), source: FileSource::Beyond }];
        let unusual = Unusual { unread, more: true, ..Unusual::default() };
        Self { env: Vec::new(), files: vec![None], unusual: unusual.boxed(), ..self }
    }
}
