//! The decision, as a function of what was seen of the Lease, and when, by our own watch. No client,
//! no clock.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::LeaseSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

/// Nobody may keep everybody out for ever by one write.
const LONGEST_PROMISE: Duration = Duration::from_secs(3_600);

/// How many characters stand behind the name of a process that stands for election: an underscore and a
/// number of its own.
pub const HOLDER_SUFFIX: usize = 17;

/// Time since the machine started: a clock that nobody can set.
pub type Uptime = Duration;

/// How long a leader may be silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Nobody else takes a lease before it has been silent for so long.
    pub duration: Duration,
    /// The holder gives up before that.
    pub renew_deadline: Duration,
    /// Pause between attempts.
    pub retry_period: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }
}

impl Terms {
    /// # Errors
    /// Where two could lead at once, or nobody for long.
    pub fn check(self) -> Result<Self, &'static str> {
        if self.duration.subsec_nanos() != 0 || self.duration.as_secs() > 3_600 {
            return Err("the lease duration must be whole seconds, an hour at most: a Lease holds no others");
        }
        if self.renew_deadline >= self.duration {
            return Err(
                "the renew deadline must be below the lease duration: what is between them is all that keeps two apart",
            );
        }
        if self.retry_period.is_zero() || self.retry_period >= self.renew_deadline {
            return Err("the retry period must be below the renew deadline, and not zero");
        }
        Ok(self)
    }
}

/// State of one candidate.
#[derive(Clone, Debug)]
pub struct Election {
    me: String,
    terms: Terms,
    /// The lease, and since when it is like that for us.
    seen: Option<(LeaseSpec, Uptime)>,
    /// When our own lease ends for us.
    until: Option<Uptime>,
}

impl Election {
    pub fn new(me: String, terms: Terms) -> Self {
        Self { me, terms, seen: None, until: None }
    }

    pub fn me(&self) -> &str {
        &self.me
    }

    pub fn terms(&self) -> Terms {
        self.terms
    }

    /// Who holds the lease; empty where nobody does.
    pub fn holder(&self) -> &str {
        self.seen.as_ref().and_then(|(spec, _)| spec.holder_identity.as_deref()).unwrap_or_default()
    }

    /// The API server answered this at `now`. Only a change is a sign of life.
    pub fn see(&mut self, spec: Option<&LeaseSpec>, now: Uptime) {
        let spec = spec.cloned().unwrap_or_default();
        if self.seen.as_ref().is_none_or(|(seen, _)| *seen != spec) {
            self.seen = Some((spec, now));
        }
    }

    /// Whether the lease is ours, nobody's, or has been silent for as long as its holder promised.
    pub fn may_take(&self, now: Uptime) -> bool {
        let Some((spec, since)) = &self.seen else { return true };
        let holder = self.holder();
        if holder.is_empty() || holder == self.me {
            return true;
        }
        let promised = spec
            .lease_duration_seconds
            .and_then(|seconds| u64::try_from(seconds).ok())
            .filter(|seconds| *seconds > 0);
        let promised = promised
            .map_or(self.terms.duration, Duration::from_secs)
            .min(LONGEST_PROMISE.max(self.terms.duration));
        now.saturating_sub(*since) >= promised
    }

    /// The lease as ours, made of what it was.
    pub fn claim(&self, before: Option<LeaseSpec>, now: MicroTime) -> LeaseSpec {
        let before = before.unwrap_or_default();
        let same = before.holder_identity.as_deref() == Some(&*self.me);
        let transitions = before.lease_transitions.unwrap_or_default();
        LeaseSpec {
            holder_identity: Some(self.me.clone()),
            lease_duration_seconds: i32::try_from(self.terms.duration.as_secs()).ok(),
            acquire_time: if same { before.acquire_time } else { Some(now.clone()) },
            // The first holder of all follows nobody.
            lease_transitions: Some(if same || before.holder_identity.is_none() {
                transitions
            } else {
                transitions.saturating_add(1)
            }),
            renew_time: Some(now),
            ..before
        }
    }

    /// The renewal that was sent at this time arrived; returns when our lease ends for us. It is
    /// counted from the sending: whoever reads it reads it later.
    pub fn renewed(&mut self, sent: Uptime) -> Uptime {
        let until = sent + self.terms.renew_deadline;
        self.until = Some(until);
        until
    }

    /// What is left of our lease; none where there is none.
    pub fn left(&self, now: Uptime) -> Option<Duration> {
        self.until?.checked_sub(now).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn time(seconds: i64) -> MicroTime {
        MicroTime(Timestamp::from_second(seconds).unwrap())
    }

    fn candidate() -> Election {
        Election::new("us".into(), Terms::default())
    }

    fn held_by(holder: &str, renewed: i64) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(holder.into()),
            lease_duration_seconds: Some(15),
            renew_time: Some(time(renewed)),
            acquire_time: Some(time(0)),
            lease_transitions: Some(3),
            ..LeaseSpec::default()
        }
    }

    #[test]
    fn a_lease_that_nobody_holds_is_taken_at_once() {
        assert!(candidate().may_take(SECOND), "there was none ever");
        let mut candidate = candidate();
        candidate.see(Some(&held_by("", 0)), SECOND);
        assert!(candidate.may_take(SECOND), "it was given away");
        candidate.see(None, 2 * SECOND);
        assert!(candidate.may_take(2 * SECOND), "it is empty");
        candidate.see(Some(&held_by("us", 0)), 3 * SECOND);
        assert!(candidate.may_take(3 * SECOND), "a renewal of ours whose answer was lost");
    }

    #[test]
    fn it_is_taken_when_it_did_not_change_for_its_duration_by_our_own_watch() {
        // The holder's clock may show whatever it likes.
        for wall in [0, 1_000_000_000, 4_000_000_000] {
            let mut candidate = candidate();
            candidate.see(Some(&held_by("other", wall)), 100 * SECOND);
            candidate.see(Some(&held_by("other", wall)), 110 * SECOND);
            assert!(!candidate.may_take(114 * SECOND), "{wall}");
            assert!(candidate.may_take(115 * SECOND), "{wall}");
            candidate.see(Some(&held_by("other", wall - 5)), 114 * SECOND);
            assert!(
                !candidate.may_take(128 * SECOND),
                "any change is a sign of life, even backwards: {wall}"
            );
            assert!(candidate.may_take(129 * SECOND), "{wall}");
        }
    }

    #[test]
    fn the_holders_own_promise_counts() {
        let mut candidate = candidate();
        let mut lease = held_by("other", 0);
        lease.lease_duration_seconds = Some(60);
        candidate.see(Some(&lease), SECOND);
        assert!(!candidate.may_take(60 * SECOND));
        assert!(candidate.may_take(61 * SECOND));
        lease.lease_duration_seconds = Some(i32::MAX);
        candidate.see(Some(&lease), 70 * SECOND);
        assert!(!candidate.may_take(3_669 * SECOND));
        assert!(candidate.may_take(3_670 * SECOND), "an hour is the longest");
        for nonsense in [None, Some(0), Some(-1)] {
            lease.lease_duration_seconds = nonsense;
            candidate.see(Some(&lease), 4_000 * SECOND);
            assert!(!candidate.may_take(4_014 * SECOND), "{nonsense:?}");
            assert!(candidate.may_take(4_015 * SECOND), "{nonsense:?}");
        }
    }

    #[test]
    fn our_own_lease_ends_before_another_can_take_it() {
        let terms = Terms::default();
        let mut holder = candidate();
        assert_eq!(holder.left(Duration::ZERO), None);
        let sent = 50 * SECOND;
        let ends = holder.renewed(sent);
        assert_eq!(holder.left(sent), Some(terms.renew_deadline));
        assert_eq!(holder.left(ends), None);
        // Another sees it, at the earliest, in the moment in which it is sent.
        let mut other = Election::new("other".into(), terms);
        other.see(Some(&holder.claim(None, time(0))), sent);
        assert!(!other.may_take(ends));
        assert!(!other.may_take(sent + terms.duration - Duration::from_millis(1)));
    }

    #[test]
    fn a_claim_tells_a_renewal_from_a_takeover() {
        let candidate = candidate();
        let first = candidate.claim(None, time(1));
        assert_eq!((first.lease_transitions, &first.acquire_time), (Some(0), &Some(time(1))));
        let renewed = candidate.claim(Some(first), time(2));
        assert_eq!(
            (renewed.lease_transitions, &renewed.acquire_time, &renewed.renew_time),
            (Some(0), &Some(time(1)), &Some(time(2)))
        );
        for before in ["other", ""] {
            let taken = candidate.claim(Some(held_by(before, 0)), time(9));
            assert_eq!(
                (taken.lease_transitions, &taken.acquire_time),
                (Some(4), &Some(time(9))),
                "after {before:?}"
            );
            assert_eq!(
                (taken.holder_identity.as_deref(), taken.lease_duration_seconds),
                (Some("us"), Some(15))
            );
        }
    }

    #[test]
    fn terms_under_which_two_could_lead_are_refused() {
        let terms = |duration: u64, renew_deadline: u64, retry_period: u64| {
            let [duration, renew_deadline, retry_period] =
                [duration, renew_deadline, retry_period].map(Duration::from_millis);
            Terms { duration, renew_deadline, retry_period }.check()
        };
        assert!(Terms::default().check().is_ok());
        assert!(terms(3_000, 2_000, 500).is_ok());
        for (duration, deadline, retry) in [
            (15_000, 15_000, 2_000),
            (1_500, 1_000, 100),
            (3_000, 2_000, 2_000),
            (3_000, 2_000, 0),
            (0, 0, 0),
        ] {
            assert!(terms(duration, deadline, retry).is_err(), "{duration} {deadline} {retry}");
        }
    }
}
