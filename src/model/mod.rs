//! Plain values of the cluster, without what no decision needs. `controller` fills them, `plan` decides on them.
//!
//! | file | what it holds |
//! |---|---|
//! | `answer` | what a pod answers about its configuration |
//! | `bounded` | a list with a ceiling |
//! | `config_map` | a config map that carries our label |
//! | `container` | a container of a pod or of a template, and the files that it reads |
//! | `demand` | the levels that templates demand |
//! | `key` | names of objects, and times |
//! | `last_status` | what the status said last |
//! | `override_sources` | what in a container may beat a policy |
//! | `ownership_note` | the annotation on what a policy governs |
//! | `pauses` | the pauses that hold a change back |
//! | `pod` | a pod, and how it is |
//! | `pod_selection` | whose pods a selector finds |
//! | `policy` | a policy as it is stored |
//! | `probes_skipped` | pods that should have been asked and were not |
//! | `proof` | what answers prove |
//! | `record` | a remembered revision, as it is stored |
//! | `refusal` | why something cannot be |
//! | `replacement` | how pods are replaced |
//! | `text` | what others wrote, made harmless |
//! | `unreadable` | an object that is there and cannot be read |
//! | `workload` | a Deployment, StatefulSet or DaemonSet |

mod answer;
mod bounded;
mod config_map;
mod container;
mod demand;
#[cfg(test)]
pub mod fixtures;
mod key;
mod last_status;
mod override_sources;
mod ownership_note;
mod pauses;
mod pod;
mod pod_selection;
mod policy;
mod probes_skipped;
mod proof;
mod record;
mod refusal;
mod replacement;
mod text;
mod unreadable;
mod workload;

pub use answer::Answer;
pub use bounded::Bounded;
pub use config_map::ConfigMapView;
pub use container::{Container, Containers, EnvVar, MountedFile};
pub use demand::Demand;
pub use key::{Key, Millis, WorkloadId, seconds};
pub use last_status::{Cause, LastCondition, LastStatus, Levels, Transition, level_word};
pub use override_sources::{EnvFrom, EnvFromMap, EnvSource, FileSource, OverrideSources, UnreadFile};
pub use ownership_note::OwnershipNote;
pub use pauses::Pauses;
pub use pod::{Health, Pod, Trouble, hashes};
pub use pod_selection::{OtherPods, Selected, UnknownPods};
pub use policy::PolicyObject;
pub use probes_skipped::{NoPermit, ProbesSkipped};
pub use proof::Proof;
pub use record::{
    Applied, Back, Before, Data, Evidence, FailedRevision, NAME_PATTERN, Record, Reload, TargetData,
    digest_in_name, record_name,
};
pub use refusal::Refusal;
pub use replacement::{Replacement, Traits};
pub use text::{MAX_MESSAGE, bounded};
pub use unreadable::Unreadable;
pub use workload::{OwnFields, UpdateStrategy, Workload, WorkloadStatus, is_done};
