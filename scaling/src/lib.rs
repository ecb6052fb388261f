//! How many replicas a server should have.
//!
//! A pure decision: [`State::decide`] takes what was seen and a time, and says how many replicas there should be and
//! why. There is no clock, no I/O and no randomness here; whoever calls it observes, and writes what it answers.
//!
//! The load is the number of calls in hand and waiting, averaged exactly over time. With N replicas (those asked for,
//! ready or not), τ = [`Policy::target`], and means over the window (`Cs`) and a tenth of it (`Cp`):
//!
//! ```text
//! burst:  Cp > 2·N·τ, or calls wait and Cp > N·τ/0.7         load = max(Cs, Cp), else Cs
//! up:     load > N·τ·(1 + band_up)                           N' = ceil(load / τ)
//! down:   load < (N−1)·τ·(1 − band_down)                     N' = max(1, ceil(load / (τ·(1 − band_down))))
//!         N' = the largest N' of the last `scale_in_after`
//! rate:   N' ≤ max(2·M, M + 4), M = fewest replicas of the last `rise_within`
//! start:  while ready < N no more replicas come than for   max(λ·S, in hand) + 0.7·waiting·S/5 s
//! zero:   no call and no session for `idle`, and the replicas that came from zero are older than `dwell`
//! ```
//!
//! `λ` are the calls that come a second, `S` is the time of one, learnt while none waits. What waits for replicas to
//! start grows all the time and is done soon after, so it must not count as a load that lasts.
//!
//! The two windows and the burst (panic) mode are those of Knative's autoscaler (KPA), the rate is the default of
//! Kubernetes' `HorizontalPodAutoscaler`, and tolerances that differ by direction are those of KEP-4951.
//!
//! Why it is steady under a steady load: after a step down to M the load is at most `M·τ·(1 − band_down)`, so that
//! nothing asks for more; after a step up to M it is over (M−1)·τ, so that nothing asks for fewer. With noise of ±e
//! that holds while `(1+e)·(1 − band_down) ≤ (1−e)·(1 + band_up)`: for the bands 0 and d, e ≤ d / (2 − d).

mod calls;
mod clock;
mod decision;
mod number;
mod observation;
mod peak;
mod policy;
mod quiet;
mod start;
mod starting;
mod state;
mod wake;
mod window;

pub use decision::{Decision, Reason};
pub use observation::Observation;
pub use policy::Policy;
pub use start::{Service, Starts};
pub use state::State;
pub use wake::{hold, retry_after, wake};
