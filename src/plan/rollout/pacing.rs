//! When the next roll or repair may start, and when to look again.

use crate::api::Reason;
use crate::model::{Millis, Pauses, is_done};
use crate::plan::input::TargetView;
use crate::plan::steps::Step;

pub const ROLLS_IN_A_ROW: usize = 3;

/// When the next roll may start; none means now.
#[must_use]
pub fn roll_not_before(target: &TargetView, failing: bool, pauses: Pauses, now: Millis) -> Option<Millis> {
    let workload = target.workload.as_ref()?;
    let rolls = &target.history.rolls;
    let in_a_row = rolls.iter().filter(|at| now - **at < pauses.roll_distance * 3).count();
    let spaced =
        rolls.iter().max().filter(|_| in_a_row >= ROLLS_IN_A_ROW).map(|last| last + pauses.roll_distance);
    let under_way = !workload.own.env.is_empty() && !is_done(workload) && !failing;
    let started = rolls.iter().max().copied().or(workload.own.changed).filter(|_| under_way);
    [spaced, started.map(|at| at + pauses.burst)].into_iter().flatten().max().filter(|until| *until > now)
}

pub const REPAIRS_BEFORE_PAUSE: usize = 3;

/// Fewer than are remembered.
pub const LONG_FIGHT: usize = 12;

/// When drift may be repaired again, once another manager keeps undoing the repairs: the pause
/// doubles with each, and a longer quiet ends the fight.
#[must_use]
pub fn repair_not_before(repairs: &[Millis], pauses: Pauses, now: Millis) -> Option<Millis> {
    let last = *repairs.last()?;
    let quiet = pauses.longest_repair + pauses.fight;
    if now - last > quiet {
        return None;
    }
    // The streak of repairs that followed each other faster than the longest pause and a margin.
    let gaps = repairs.windows(2).rev().take_while(|pair| pair[1] - pair[0] <= quiet).count();
    let streak = &repairs[repairs.len() - 1 - gaps..];
    // The beginning of a long fight is forgotten.
    let began = match streak
        .windows(REPAIRS_BEFORE_PAUSE)
        .position(|three| three[REPAIRS_BEFORE_PAUSE - 1] - three[0] < pauses.fight)
    {
        Some(began) => began,
        None if streak.len() >= LONG_FIGHT => 0,
        None => return None,
    };
    let since = streak.len() - began - REPAIRS_BEFORE_PAUSE;
    let pause = (pauses.repair << since.min(5)).min(pauses.longest_repair);
    Some(last + pause).filter(|until| *until > now)
}

/// How often a roll is looked at while it moves; one that takes long (paused, stuck) more seldom.
pub const LOOK: Millis = 3_000;

pub const LOOK_SELDOM: Millis = 60_000;

/// Looks in the time that a roll has taken so far, once that is long.
pub const LOOKS: Millis = 20;

/// How often a refusal is tried again that may end without an event that is watched.
pub const RETRY: Millis = 60_000;

impl Step {
    pub fn again(&self, view: &TargetView, now: Millis) -> Option<Millis> {
        match self {
            Self::Refused { until, reason, .. } => {
                until.or(matches!(reason, Reason::TargetClaimed | Reason::InvalidSpec).then_some(now + RETRY))
            }
            Self::Held { until, .. } => *until,
            Self::Settled { done: false } => {
                let began =
                    view.history.rolls.last().copied().or(view.workload.as_ref()?.own.changed).unwrap_or(now);
                Some(look_after(began, now))
            }
            // What a write changes is seen by the watch.
            Self::Settled { .. } | Self::Write { .. } => None,
        }
    }
}

/// When to look again at something that began then.
pub fn look_after(began: Millis, now: Millis) -> Millis {
    now + ((now - began) / LOOKS).clamp(LOOK, LOOK_SELDOM)
}
