//! What few containers have, and what matters because it may beat a policy. Names only: values may be secrets.

use smol_str::SmolStr;

use super::Millis;

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
