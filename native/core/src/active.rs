//! One run on an instance, from the order until it has settled.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::time::{Duration, Instant};

use crate::answer::{Answer, Progress};
use crate::engine::Shared;
use crate::events::Event;
use crate::frame::Deadlines;
use crate::job::JobState;
use crate::outcome::{Limit, Outcome, Usage};
use crate::program::Program;
use crate::run::Run;

/// A session ends when its caller leaves it alone for so long: it holds room, and another is found in a thousandth of this.
const LONGEST_REST: Duration = Duration::from_millis(100);

/// Settles its run exactly once: by [`Active::settle`], or as `platform` when it is dropped without.
pub(crate) struct Active {
    pub run: Arc<Run>,
    pub state: Arc<JobState>,
    pub answer: Answer,
    deadlines: Deadlines,
    received: Instant,
    /// When the guest's code began.
    begun: Option<Instant>,
    /// The last time a byte of either body moved.
    moved: Instant,
    input_seen: u64,
    usage: Usage,
    /// CPU time of the instance when the run began.
    pub cpu_base: Duration,
    /// The call of another guest that goes on: which one, when it was first seen, and the instance's CPU time then. Limits of
    /// time are each call's own.
    turn: u32,
    turn_at: Instant,
    turn_cpu: Duration,
    /// Since when it has waited for its caller's next call.
    resting: Option<Instant>,
    expects_answer: bool,
    /// How the run will have ended, where the guest has said so.
    verdict: Option<Outcome>,
    settled: bool,
    program: Arc<Program>,
    shared: Arc<Shared>,
}

impl Active {
    pub fn new(
        run: Arc<Run>,
        deadlines: Deadlines,
        received: Instant,
        response_limit: u64,
        expects_answer: bool,
        program: Arc<Program>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            run,
            state: Arc::default(),
            answer: Answer::new(response_limit),
            deadlines,
            received,
            begun: None,
            moved: received,
            input_seen: 0,
            usage: Usage::default(),
            cpu_base: Duration::ZERO,
            turn: 0,
            turn_at: received,
            turn_cpu: Duration::ZERO,
            resting: None,
            expects_answer,
            verdict: None,
            settled: false,
            program,
            shared,
        }
    }

    /// The guest's code begins. `start` nanoseconds went into making its instance.
    pub fn begin(&mut self, start: u64) {
        self.begun = Some(Instant::now());
        self.usage.start = start;
        self.answer.start = start;
    }

    /// Notes when calls of other guests begin, and since when it waits for the next.
    fn follow_turns(&mut self, cpu: Duration) {
        let turn = self.state.turns.load(Ordering::Relaxed);
        if turn != self.turn {
            // The first one's time runs from the order on.
            if self.turn > 0 {
                (self.turn_at, self.turn_cpu) = (Instant::now(), cpu);
            }
            (self.turn, self.resting) = (turn, None);
        }
        if !self.is_resting() {
            self.resting = None;
        } else if self.resting.is_none() {
            self.resting = Some(Instant::now());
        }
    }

    /// Moves bodies and looks for reasons to end: the outcome, if there is one.
    pub fn look(&mut self, cx: &mut Context<'_>, cpu: Duration) -> Option<Outcome> {
        self.follow_turns(cpu);
        if self.run.is_cancelled() {
            return Some(Outcome::Cancelled);
        }
        if let Some(outcome) = self.run.input_fault().or_else(|| self.state.failure()) {
            return Some(outcome);
        }
        match self.answer.poll(cx, &self.run, &self.shared) {
            // The guest's own word, and its store is as sound as before: the run ends when the call has returned.
            Progress::Failed(outcome @ Outcome::GuestError { code: "error-code", .. }) => {
                self.answer.give_up();
                self.state.answered.store(true, Ordering::Release);
                self.verdict = Some(outcome);
            }
            Progress::Failed(outcome) => return Some(outcome),
            Progress::Moved => self.moved = Instant::now(),
            Progress::Waiting => {}
        }
        let input = self.run.request_bytes.load(Ordering::Relaxed);
        if input != self.input_seen {
            (self.input_seen, self.moved) = (input, Instant::now());
        }
        None
    }

    /// The store is over. An answer that was whole by then goes out; half of one does not.
    pub fn last_words(&mut self) {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let _ = self.answer.poll(&mut cx, &self.run, &self.shared);
        if self.answer.is_whole() {
            self.flush();
        }
    }

    /// Sends what the guest has written so far; true when that was anything.
    pub fn flush(&mut self) -> bool {
        let sent = self.answer.flush(&self.run, &self.shared);
        if self.answer.is_done() {
            self.state.answered.store(true, Ordering::Release);
        }
        sent
    }

    /// Nothing of it is left: the export has returned and all of the answer is out.
    pub fn is_complete(&self) -> bool {
        self.state.finished.load(Ordering::Acquire) && self.is_answered()
    }

    /// All of the answer is out, or there is none to wait for.
    pub fn is_answered(&self) -> bool {
        !self.expects_answer || self.answer.is_done()
    }

    fn is_resting(&self) -> bool {
        self.state.resting.load(Ordering::Acquire) && !self.state.finished.load(Ordering::Acquire)
    }

    /// The next moment at which [`Active::expired`] may have something to say.
    pub fn next_deadline(&self) -> Instant {
        let total = self.received + self.deadlines.total;
        if let Some(resting) = self.resting {
            if self.state.standing.load(Ordering::Acquire) { total } else { total.min(resting + LONGEST_REST) }
        } else if !self.answer.has_begun() {
            total.min(self.turn_at + self.deadlines.head)
        } else if self.answer.is_done() {
            total
        } else {
            total.min(self.moved + self.deadlines.idle)
        }
    }

    /// The deadline that has passed, if one has.
    pub fn expired(&self, now: Instant) -> Option<Outcome> {
        if now < self.next_deadline() {
            return None;
        }
        let over = |limit, since: Instant, allowed: Duration| Outcome::Limit {
            limit,
            used: now.duration_since(since).as_millis() as u64,
            allowed: allowed.as_millis() as u64,
        };
        if self.resting.is_some() && !self.state.standing.load(Ordering::Acquire) {
            // Nothing of it is left undone: the next call goes to another.
            return Some(Outcome::Ok { exit: 0 });
        }
        Some(if now >= self.received + self.deadlines.total {
            over(Limit::TotalTime, self.received, self.deadlines.total)
        } else if !self.answer.has_begun() {
            over(Limit::HeadTime, self.turn_at, self.deadlines.head)
        } else {
            over(Limit::IdleTime, self.moved, self.deadlines.idle)
        })
    }

    pub fn cpu_exceeded(&self, cpu: Duration, allowed_ms: u64) -> Option<Outcome> {
        let used = cpu.saturating_sub(self.cpu_base.max(self.turn_cpu)).as_millis() as u64;
        (used > allowed_ms).then_some(Outcome::Limit { limit: Limit::Cpu, used, allowed: allowed_ms })
    }

    /// Ends the run. `dropped` lines and the instance's `memory` and `cpu` go into its usage.
    pub fn settle(mut self, outcome: Outcome, cpu: Duration, memory: u64, dropped: u64) {
        let outcome = match (self.verdict.take(), outcome) {
            (Some(verdict), Outcome::Ok { .. }) => verdict,
            (_, outcome) => outcome,
        };
        // An HTTP handler that ends well without its answer being whole (it has called `exit`) has not done its work.
        let outcome = match outcome {
            Outcome::Ok { .. } if !self.is_answered() => {
                let code = if self.answer.has_begun() { "bad-answer" } else { "no-answer" };
                Outcome::GuestError { code, message: "the handler ended without a whole answer".into() }
            }
            outcome => outcome,
        };
        self.usage.cpu = cpu.saturating_sub(self.cpu_base).as_nanos() as u64;
        self.usage.memory = memory;
        self.usage.dropped_lines = dropped;
        self.finish(outcome);
    }

    fn finish(&mut self, outcome: Outcome) {
        self.settled = true;
        self.run.set_settled();
        let begun = self.begun.unwrap_or_else(Instant::now);
        self.usage.run = begun.elapsed().as_nanos() as u64;
        self.usage.wait = begun.duration_since(self.received).as_nanos() as u64;
        self.usage.request_bytes = self.run.request_bytes.load(Ordering::Relaxed);
        self.usage.response_bytes = self.answer.bytes;
        self.usage.calls = self.state.turns.load(Ordering::Relaxed);
        self.usage.service = self.state.service.load(Ordering::Relaxed);
        self.shared.runs().remove(&self.run.handle);
        if let Some(sidecar) = self.run.sidecar() {
            self.shared.sidecars().remove(&self.run.handle);
            self.shared.documents().retain(|(run, _), _| *run != self.run.handle);
            sidecar.set_outcome(outcome.clone());
        }
        let trace = self.run.trace().map(|trace| trace.report(&self.program.spec.tenant));
        let began = self.run.has_begun();
        let owed = self.run.owed().map(|reply| (reply, outcome.reason()));
        self.shared.events.push(Event::Settled { run: self.run.handle, outcome, usage: self.usage, trace, began });
        // Afterwards: the owner hears of this before it hears what the caller makes of it.
        if let Some((reply, reason)) = owed {
            let _ = reply.send(Err(reason));
        }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        if !self.settled {
            self.finish(Outcome::Platform { code: "internal", message: "the instance's task ended".into() });
        }
    }
}
