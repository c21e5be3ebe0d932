//! Pods are asked what they run, and what they answered is kept, so that a policy at rest asks nobody:
//! those of a workload are listed anew when it changed, and now and then.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use smol_str::SmolStr;
use tokio::time::Instant;

use super::memory::at;
use super::rooms::{Room, Rooms};
use super::view::PodView;
use super::{Context, Error, pods};
use crate::admin;
use crate::api::{ConditionType, Reason};
use crate::model::{Answer, Levels, Millis, NoRoom, Pod, Proof, Workload};
use crate::plan::{
    Observed, Plan, Question, TargetView, is_wrong, levels_of_pods, of_variables, pause, questions,
};
use crate::policy::Verification;

/// How long a look may ask pods, all together: what is silent must not hold up repairs.
const ASKING: Duration = Duration::from_secs(5);
/// How long what pods answered counts while there is something to write.
const WHILE_WRITING: Duration = Duration::from_secs(60);
/// Pods asked at once.
const ASKED_AT_ONCE: usize = 16;
/// When a look that found no room comes again.
pub(super) const NO_ROOM: Duration = Duration::from_secs(1);
/// Questions of many policies spread over this time.
const SPREAD: u64 = 120_000;
/// What was not looked at for so long is of a workload that is gone.
const FORGET: Duration = Duration::from_secs(2 * 3_600);

/// What pods answered.
#[derive(Debug, Default)]
pub(super) struct Asking {
    known: Mutex<HashMap<SmolStr, Arc<Known>>>,
    rooms: Rooms,
}

/// What the pods of one workload answered.
#[derive(Debug)]
struct Known {
    question: Question,
    /// Of the workload when they were listed: it changes when pods come, go or get ready.
    resource_version: SmolStr,
    told: Vec<Told>,
    proof: Proof,
    /// The weakest that they demand.
    levels: Option<Levels>,
    asked: Instant,
    wrong_since: Option<Since>,
    /// Questions in a row that settled nothing.
    times: u32,
    again: Instant,
}

/// Times are by the clock that nobody can set.
#[derive(Clone, Copy, Debug)]
enum Since {
    /// Before this process began.
    Ever,
    Then(Instant),
}

impl Since {
    /// By the clock that says `now`.
    fn millis(self, now: Millis) -> Millis {
        match self {
            Self::Ever => 0,
            Self::Then(instant) => at(instant, now),
        }
    }
}

#[derive(Debug)]
struct Told {
    run: u64,
    answer: Answer,
    at: Instant,
}

/// When to look again.
pub(super) enum Asked {
    Again(Option<Duration>),
    /// Now, but there is no room: nothing is told before.
    Later(Duration),
}

impl Known {
    fn is_fresh(&self, workload: &Workload) -> bool {
        self.resource_version == workload.resource_version && Instant::now() < self.again
    }
}

impl Asking {
    fn known(&self) -> MutexGuard<'_, HashMap<SmolStr, Arc<Known>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever asks the pods of the workload holds it meanwhile: silent ones must not take all looks.
    pub(super) fn room(&self, workload: &Workload) -> Result<Room<'_>, NoRoom> {
        self.rooms.take(&workload.key.namespace, &workload.uid)
    }

    /// Answers to this question.
    fn answers(&self, workload: &Workload, question: &Question) -> Option<Arc<Known>> {
        self.known().get(&workload.uid).filter(|known| known.question == *question).cloned()
    }

    fn keep(&self, workload: &Workload, known: Arc<Known>) {
        let mut all = self.known();
        // Seldom enough to cost nothing, often enough to stay within twice what is needed.
        if all.len().is_power_of_two() {
            all.retain(|_, known| known.again.elapsed() < FORGET);
        }
        all.insert(workload.uid.clone(), known);
    }
}

/// Lets each target know what its pods prove, and asks them where that is due. Who has something to
/// write does not wait for pods: they are asked at the next look.
pub(super) async fn pods(context: &Context, observed: &mut Observed, decided: &Plan) -> Result<Asked, Error> {
    let mut next: Option<Duration> = None;
    let mut budget = Budget::of(&observed.verification());
    for (index, question) in questions(observed, decided) {
        let target = &observed.targets[index];
        let Some(workload) = target.workload.clone() else { continue };
        let mut known = context.asking.answers(&workload, &question);
        // What is written brings a look of its own, unless it is refused again and again.
        let waits =
            decided.writes() && known.as_ref().is_none_or(|known| known.asked.elapsed() < WHILE_WRITING);
        let is_due = !waits && known.as_ref().is_none_or(|known| !known.is_fresh(&workload));
        match is_due.then(|| context.asking.room(&workload)) {
            Some(Ok(_room)) => {
                match ask(context, observed, (target, &workload), question, known.as_deref(), &mut budget)
                    .await
                {
                    Ok(asked) => {
                        let asked = Arc::new(asked);
                        context.asking.keep(&workload, asked.clone());
                        known = Some(asked);
                    }
                    // A repair does not wait for it.
                    Err(_) if decided.writes() => {}
                    Err(error) => return Err(error),
                }
            }
            // A status that says less would be taken back a moment later.
            Some(Err(NoRoom::ForNow)) if known.is_none() && was_told(observed) => {
                return Ok(Asked::Later(NO_ROOM));
            }
            Some(Err(NoRoom::Starved)) => observed.unheard.add(&workload, NoRoom::Starved),
            // What they said until now may be told a little longer.
            Some(Err(NoRoom::ForNow)) | None => {}
        }
        let again = known
            .as_ref()
            .map(|known| known.again.saturating_duration_since(Instant::now()))
            .unwrap_or_default();
        let pause = NO_ROOM.max(again);
        if !decided.writes() {
            next = Some(next.map_or(pause, |next| next.min(pause)));
        }
        observed.targets[index].selected = context.selected.recall(&workload);
        observed.targets[index].listed = known.as_ref().and_then(|known| known.levels);
        observed.targets[index].proof = known.map(|known| known.proof.clone());
    }
    Ok(Asked::Again(next))
}

/// Whether it was ever told what the pods prove.
fn was_told(observed: &Observed) -> bool {
    let conditions = observed.policy.iter().flat_map(|policy| &policy.status.conditions);
    conditions.into_iter().any(|condition| condition.type_ == ConditionType::Effective)
}

/// A pod, its run, and when it answered.
type Heard = (Pod, u64, Instant);

/// Lists the pods of the workload, and asks those that are to be asked.
async fn ask(
    context: &Context,
    observed: &Observed,
    (target, workload): (&TargetView, &Workload),
    question: Question,
    known: Option<&Known>,
    budget: &mut Budget,
) -> Result<Known, Error> {
    let now = Instant::now();
    let pods::Pods { own: views, unknown } = pods::of(context, observed, workload).await?;
    let told = known.map(|known| known.told.as_slice()).unwrap_or_default();
    // Those that have answered are spared, unless it is time, or they would be compared with what they no
    // longer are.
    let mut kept = if known.is_some_and(|known| now < known.again) { told } else { &[] };
    let (pods, told, wrong) = loop {
        let heard = budget
            .spend(async |deadline| hear(views.clone(), &question, told, kept, now, deadline).await)
            .await;
        heard.iter().filter(|(.., at)| *at == now).filter_map(|(pod, ..)| pod.answer.as_ref()).for_each(
            |answer| {
                context.metrics.pod_asked(word(answer));
            },
        );
        let (pods, told) = split(heard);
        let wrong = is_wrong(workload, &question, &pods);
        if !wrong || kept.is_empty() {
            break (pods, told, wrong);
        }
        kept = &[];
    };
    // What was told before a restart holds until it is disproved.
    let was_wrong =
        observed.policy.as_ref().is_some_and(|policy| *policy.status.reason == *Reason::Mismatch.as_str());
    let began = if known.is_none() && was_wrong { Since::Ever } else { Since::Then(now) };
    let levels = levels_of_pods(target, &question.container, &pods);
    let wrong_since = wrong.then(|| known.and_then(|known| known.wrong_since).unwrap_or(began));
    let proof = match unknown {
        Some(why) => Proof::Unreachable(why.words()),
        None => of_variables(
            target,
            &question,
            &pods,
            wrong_since.map(|since| since.millis(observed.now)),
            observed.now,
        ),
    };
    context.metrics.verified(proof.reason().as_str());
    let times = known.map_or(0, |known| known.times);
    let spread = if proof.is_settled() { spread(&workload.uid) } else { Duration::ZERO };
    let again = now + Duration::from_millis(u64::try_from(pause(&proof, times)).unwrap_or_default()) + spread;
    // One that answered until now is asked once more before it is told.
    let doubted = known.filter(|known| {
        known.times == 0 && known.proof.is_settled() && matches!(proof, Proof::Unreachable(_))
    });
    Ok(Known {
        question,
        resource_version: workload.resource_version.clone(),
        told,
        levels,
        asked: now,
        wrong_since,
        times: if proof.is_settled() { 0 } else { times.saturating_add(1) },
        proof: doubted.map_or(proof, |known| known.proof.clone()),
        again,
    })
}

fn word(answer: &Answer) -> &'static str {
    match answer {
        Answer::Hash(_) => "hash",
        Answer::Marker(_) => "revision",
        Answer::Other => "other",
        Answer::Unreachable => "unreachable",
        Answer::NotYet => "late",
    }
}

/// What the pods answer, or answered as far as that is kept.
async fn hear(
    mut views: Vec<PodView>,
    question: &Question,
    told: &[Told],
    kept: &[Told],
    now: Instant,
    deadline: Instant,
) -> Vec<Heard> {
    let of = |all: &[Told], view: &PodView| {
        all.iter().find(|told| told.run == view.run).map(|told| (told.answer.clone(), told.at))
    };
    // First those that never answered, then those whose answer is the oldest.
    views.sort_by_cached_key(|view| (of(told, view).map(|(_, at)| at), view.pod.name.clone()));
    let heard = views.into_iter().map(|view| {
        let (kept, before) = (of(kept, &view), of(told, &view));
        async move {
            let asked = match kept {
                Some(_) => None,
                None => one(&view, &question.container, &question.verification, deadline)
                    .await
                    .map(|answer| (answer, now)),
            };
            let late = asked.as_ref().is_some_and(|(answer, _)| *answer == Answer::NotYet);
            let answer = kept.or(if late { before.or(asked) } else { asked });
            let at = answer.as_ref().map_or(now, |(_, at)| *at);
            (Pod { answer: answer.map(|(answer, _)| answer), ..view.pod }, view.run, at)
        }
    });
    let mut heard: Vec<_> = futures::stream::iter(heard).buffer_unordered(ASKED_AT_ONCE).collect().await;
    // A message names the first of several.
    heard.sort_by(|a, b| a.0.name.cmp(&b.0.name));
    heard
}

/// The pods, and what of it is worth keeping.
fn split(heard: Vec<Heard>) -> (Vec<Pod>, Vec<Told>) {
    let worth = |(pod, run, at): &Heard| {
        let answer = pod.answer.clone().filter(|answer| *answer != Answer::NotYet)?;
        Some(Told { run: *run, answer, at: *at })
    };
    let told = heard.iter().filter_map(worth).collect();
    (heard.into_iter().map(|(pod, ..)| pod).collect(), told)
}

/// The same for the same workload, and another for each.
fn spread(uid: &str) -> Duration {
    let mut hasher = DefaultHasher::new();
    uid.hash(&mut hasher);
    Duration::from_millis(hasher.finish() % SPREAD)
}

/// What is left of the time in which one look may ask pods. A slow API server takes nothing of it.
pub(super) struct Budget(Duration);

impl Budget {
    /// One pod has its whole time.
    pub fn of(verification: &Verification) -> Self {
        Self(ASKING.max(patience(verification)))
    }

    /// Asks until it is used up.
    pub async fn spend<T>(&mut self, ask: impl AsyncFnOnce(Instant) -> T) -> T {
        let begun = Instant::now();
        let answer = ask(begun + self.0).await;
        self.0 = self.0.saturating_sub(begun.elapsed());
        answer
    }
}

fn patience(verification: &Verification) -> Duration {
    Duration::from_millis(u64::try_from(verification.timeout).unwrap_or_default())
}

/// The pods with what each ready one answers.
pub(super) async fn each(
    pods: impl Iterator<Item = PodView>,
    container: &str,
    verification: &Verification,
    deadline: Instant,
) -> Vec<Pod> {
    let asked = pods.map(|view| async move {
        let answer = one(&view, container, verification, deadline).await;
        let answer = answer.map(|answer| if answer == Answer::NotYet { Answer::Unreachable } else { answer });
        Pod { answer, ..view.pod }
    });
    futures::stream::iter(asked).buffered(ASKED_AT_ONCE).collect().await
}

/// What the pod answers; none where it is not to be asked.
async fn one(
    view: &PodView,
    container: &str,
    verification: &Verification,
    deadline: Instant,
) -> Option<Answer> {
    let address =
        view.listens(container, &verification.port).filter(|_| view.pod.ready && !view.pod.deleting)?;
    if Instant::now() >= deadline {
        return Some(Answer::NotYet);
    }
    let answer = tokio::time::timeout_at(deadline, admin::config(address, patience(verification))).await;
    Some(answer.unwrap_or(Answer::NotYet))
}
