//! Pods are asked what they run, and what they answered is kept, so that a policy at rest asks nobody:
//! those of a workload are listed anew when it changed, and now and then.

pub mod answers;
pub mod permits;
pub mod requests;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio::time::Instant;

use crate::api::{ConditionType, Reason};
use crate::controller::context::Context;
use crate::controller::decode::pod::PodView;
use crate::controller::error::Error;
use crate::controller::observe::pod_sorting::Pods;
use crate::controller::observe::pods;
use crate::controller::probe::answers::{CachedReply, Known, Since};
use crate::controller::probe::requests::{ASKED_AT_ONCE, Budget, one};
use crate::model::{Answer, NoPermit, Pod, Proof, Workload};
use crate::plan::{
    Observed, Plan, Question, TargetView, is_wrong, levels_of_pods, of_variables, pause, questions,
};

/// How long what pods answered counts while there is something to write.
const WHILE_WRITING: Duration = Duration::from_secs(60);

/// When a look that found no room comes again.
pub const RETRY_WITHOUT_PERMIT: Duration = Duration::from_secs(1);

/// Questions of many policies spread over this time.
const SPREAD: u64 = 120_000;

/// When to look again.
pub enum Asked {
    Again(Option<Duration>),
    /// Now, but there is no room: nothing is told before.
    Later(Duration),
}

/// Lets each target know what its pods prove, and asks them where that is due. Who has something to
/// write does not wait for pods: they are asked at the next look.
pub async fn pods(context: &Context, observed: &mut Observed, decided: &Plan) -> Result<Asked, Error> {
    let mut next: Option<Duration> = None;
    let mut budget = Budget::of(&observed.verification());
    for (index, question) in questions(observed, decided) {
        let target = &observed.targets[index];
        let Some(workload) = target.workload.clone() else { continue };
        let mut known = context.probe_cache.answers(&workload, &question);
        // What is written brings a look of its own, unless it is refused again and again.
        let waits =
            decided.writes() && known.as_ref().is_none_or(|known| known.asked.elapsed() < WHILE_WRITING);
        let is_due = !waits && known.as_ref().is_none_or(|known| !known.is_fresh(&workload));
        match is_due.then(|| context.probe_cache.room(&workload)) {
            Some(Ok(_room)) => {
                match ask(context, observed, (target, &workload), question, known.as_deref(), &mut budget)
                    .await
                {
                    Ok(asked) => {
                        let asked = Arc::new(asked);
                        context.probe_cache.keep(&workload, asked.clone());
                        known = Some(asked);
                    }
                    // A repair does not wait for it.
                    Err(_) if decided.writes() => {}
                    Err(error) => return Err(error),
                }
            }
            // A status that says less would be taken back a moment later.
            Some(Err(NoPermit::ForNow)) if known.is_none() && was_told(observed) => {
                return Ok(Asked::Later(RETRY_WITHOUT_PERMIT));
            }
            Some(Err(NoPermit::Starved)) => observed.probes_skipped.add(&workload, NoPermit::Starved),
            // What they said until now may be told a little longer.
            Some(Err(NoPermit::ForNow)) | None => {}
        }
        let again = known
            .as_ref()
            .map(|known| known.again.saturating_duration_since(Instant::now()))
            .unwrap_or_default();
        let pause = RETRY_WITHOUT_PERMIT.max(again);
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
type PodReply = (Pod, u64, Instant);

/// Lists the pods of the workload, and asks those that are to be asked.
pub async fn ask(
    context: &Context,
    observed: &Observed,
    (target, workload): (&TargetView, &Workload),
    question: Question,
    known: Option<&Known>,
    budget: &mut Budget,
) -> Result<Known, Error> {
    let now = Instant::now();
    let Pods { own: views, unknown } = pods::of(context, observed, workload).await?;
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
    told: &[CachedReply],
    kept: &[CachedReply],
    now: Instant,
    deadline: Instant,
) -> Vec<PodReply> {
    let of = |all: &[CachedReply], view: &PodView| {
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
fn split(heard: Vec<PodReply>) -> (Vec<Pod>, Vec<CachedReply>) {
    let worth = |(pod, run, at): &PodReply| {
        let answer = pod.answer.clone().filter(|answer| *answer != Answer::NotYet)?;
        Some(CachedReply { run: *run, answer, at: *at })
    };
    let told = heard.iter().filter_map(worth).collect();
    (heard.into_iter().map(|(pod, ..)| pod).collect(), told)
}

/// Spreads workloads over time: the same pause for the same workload, another for each.
fn spread(uid: &str) -> Duration {
    let mut hasher = DefaultHasher::new();
    uid.hash(&mut hasher);
    Duration::from_millis(hasher.finish() % SPREAD)
}
