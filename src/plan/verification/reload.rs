//! Running pods that are about to read a new file.

use smol_str::SmolStr;

use crate::model::{Applied, Reload, Workload, hashes};
use crate::plan::checks::merged;
use crate::plan::config_map::content;
use crate::plan::desired::Goal;
use crate::plan::desired::server::Server;
use crate::plan::history::last_applied::known;
use crate::plan::input::{Observed, TargetView};
use crate::plan::steps::{ConfigMapStep, Planned, Reloads, Step, TargetPlan, WrittenFrom, planned};
use crate::plan::verification::file::{ASK_AGAIN, READ_WITHIN, is_by_file};
use crate::server::kratos::{self, Overlay};

/// Whether its pods had the time to take a file that must change their answer, and are not known to have
/// taken it.
pub fn is_late(observed: &Observed, workload: &Workload) -> bool {
    let reload = known(observed, workload).and_then(|known| known.reload.as_ref());
    reload.is_some_and(|reload| reload.changes == Some(true) && observed.now - reload.since >= READ_WITHIN)
}

/// The file that running pods of the workload are about to read, or have not been seen to read.
pub fn reload<'a>(observed: &'a Observed, reloads: &'a Reloads, workload: &Workload) -> Option<&'a Reload> {
    reloads.get(&workload.uid).or_else(|| known(observed, workload)?.reload.as_ref())
}

/// What is to be noted before the file is written anew: of each workload whose running pods read it.
pub fn reloads(
    observed: &Observed,
    in_force: &Goal,
    targets: &[TargetPlan],
    file: Option<&ConfigMapStep>,
) -> Reloads {
    let comes_back = match file {
        Some(ConfigMapStep::Create { from } | ConfigMapStep::Repair { from, .. })
            if is_by_file(&in_force.desired) =>
        {
            *from != WrittenFrom::Before
        }
        _ => return Reloads::new(),
    };
    let reads = |Planned { view, step, .. }: Planned<'_>| {
        let workload = view.workload.as_ref()?;
        let in_place =
            !matches!(step, Step::Refused { .. } | Step::Held { .. } | Step::Write { rolls: true, .. });
        in_place
            .then(|| (workload.uid.clone(), about_to_read(observed, in_force, view, workload, comes_back)))
    };
    planned(targets, &observed.targets).filter_map(reads).collect()
}

pub fn about_to_read(
    observed: &Observed,
    in_force: &Goal,
    view: &TargetView,
    workload: &Workload,
    comes_back: bool,
) -> Reload {
    let known = known(observed, workload);
    let rendered = &in_force.desired.rendered;
    let file: SmolStr = content(rendered).into();
    // The write was refused a moment ago: another note would change nothing but its time.
    let noted = known.and_then(|known| known.reload.as_ref()).filter(|noted| noted.file == file);
    if let Some(noted) = noted.filter(|noted| observed.now - noted.since < ASK_AGAIN) {
        return noted.clone();
    }
    let old = known.and_then(|known| observed.record(&known.record)).map(|record| &record.data.overlay);
    // A second file before the first was read, or a stranger's: what the pods have is not known.
    let pending = |known: &Applied| known.reload.as_ref().is_some_and(|reload| reload.changes != Some(false));
    let sure = !comes_back && known.is_some_and(|known| !pending(known));
    let changes = old.filter(|_| sure).and_then(|old| changes(view, old, &rendered.overlay));
    let before = view.pods.iter().flat_map(|pods| hashes(pods)).cloned().collect();
    let restores = known.and_then(|known| known.answer.clone()).filter(|_| comes_back);
    let restores = restores.or_else(|| never_left(known?, &in_force.digest()));
    Reload { since: observed.now, file, before, changes, restores }
}

/// Whether the file changes what running pods answer, whose variables stay. None where that cannot be known.
pub fn changes(view: &TargetView, old: &Overlay, new: &Overlay) -> Option<bool> {
    let Server { workload, container } = view.server().ok()?;
    kratos::changes(view.base.as_deref(), &merged::environment(workload, container, &view.env_from), old, new)
}

/// The answer that is due where a file comes back that was good, in place of one that no pod was seen to
/// take.
pub fn never_left(known: &Applied, comes_back: &str) -> Option<SmolStr> {
    let unread = known.reload.as_ref().filter(|unread| unread.changes == Some(true))?;
    let [before] = unread.before.as_slice() else { return None };
    let last_good = known.good.iter().find(|good| **good != known.record);
    last_good.filter(|good| **good == *comes_back).map(|_| before.clone())
}
