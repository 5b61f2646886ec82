//! Questions of the owner to the sidecars of a run: they go from one to the next, and come back as one event.
//!
//! Nobody waits on the way: whichever sidecar is done with a question hands it on. One that ends while it has it
//! hands it on as failed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::wire::{Call, Done, Ending, Head, Headers, Line, Refusal, Work};
use super::{Asked, What};
use crate::desk::Taken;
use crate::engine::Shared;
use crate::events::Event;
use crate::instance::thread_time;
use crate::program::Program;
use crate::values::base64;

/// What is asked.
#[derive(Debug)]
pub enum Question {
    Check(Head),
    Request(Head, Vec<u8>),
    Head(u16, Headers),
    Lines(Vec<Line>),
    Ended { ending: Ending, status: Option<u16>, nanoseconds: u64 },
    Pause,
    Resume,
}

#[derive(Debug)]
pub struct Consultation {
    /// 0: nobody waits for the answer; only a failure is told.
    pub request: u64,
    /// The runs of the sidecars, in their order, and the bit of each whose failure is passed over.
    pub sidecars: Vec<u64>,
    pub open: u32,
    pub call: Call,
    /// The run that they stand beside.
    pub on: u64,
    /// How long each may take, its wait included.
    pub limit: Duration,
    pub question: Question,
}

/// A question on its way.
pub(crate) struct Chain {
    shared: Arc<Shared>,
    request: u64,
    sidecars: Vec<u64>,
    open: u32,
    call: Arc<Call>,
    on: u64,
    limit: Duration,
    asking: Asking,
    told: Told,
    /// Whose turn it is, and since when.
    at: usize,
    since: Instant,
    /// Where the answer goes while whoever has asked is still there for it.
    at_once: Arc<AtOnce>,
}

/// The answer to a question that may come before the asking is over.
#[derive(Default)]
struct AtOnce(Mutex<Given>);

#[derive(Default)]
enum Given {
    #[default]
    NotYet,
    Answer(String),
    /// It is to be an event.
    Late,
}

/// Why a sidecar has given no answer.
#[derive(Debug)]
pub(crate) struct Failure {
    pub reason: String,
    /// It has ended; otherwise only this call has come to nothing.
    gone: bool,
}

impl Failure {
    pub fn gone(reason: &str) -> Self {
        Self { reason: reason.into(), gone: true }
    }

    pub fn of_call(reason: &str) -> Self {
        Self { reason: reason.into(), gone: false }
    }
}

/// How it has gone so far.
#[derive(Default)]
struct Told {
    /// By sidecar, nanoseconds.
    times: Vec<u64>,
    /// By place; true where the sidecar itself has ended.
    failed: Vec<(usize, String, bool)>,
    identity: Option<Value>,
    refusal: Option<Value>,
    /// The one that has ended it.
    stopped: Option<usize>,
}

impl Chain {
    /// Begins questions, in their order; the answers to those that have them at once, because all who are asked are quick and have
    /// nothing else to do: whoever asks makes the calls itself, all of one sidecar in one go.
    pub fn begin(shared: &Arc<Shared>, consultations: Vec<Consultation>) -> Vec<(u64, String)> {
        let mut taken = take(shared, consultations.iter().flat_map(|consultation| &consultation.sidecars));
        let waiting: Vec<_> = consultations.into_iter().map(|consultation| Self::begin_one(shared, consultation)).collect();
        // What one has answered may be the next one's turn.
        for _ in 0..taken.len() {
            for Quick { task, program, calls } in &mut taken {
                let before = thread_time();
                task.poll();
                program.pace.note(thread_time().saturating_sub(before) / *calls);
            }
        }
        drop(taken);
        waiting.into_iter().filter_map(|(request, given)| given.take().map(|answer| (request, answer))).collect()
    }

    fn begin_one(shared: &Arc<Shared>, consultation: Consultation) -> (u64, Arc<AtOnce>) {
        let Consultation { request, sidecars, open, call, on, limit, question } = consultation;
        let asking = Asking::of(question);
        let told = Told { times: Vec::with_capacity(sidecars.len()), ..Told::default() };
        let at_once = Arc::<AtOnce>::default();
        let (shared, call) = (shared.clone(), Arc::new(call));
        let since = Instant::now();
        let chain = Self { shared, request, sidecars, open, call, on, limit, asking, told, at: 0, since, at_once: at_once.clone() };
        Box::new(chain).ask();
        (request, at_once)
    }

    /// Asks whose turn it is; with nobody left, answers.
    fn ask(mut self: Box<Self>) {
        while let Some(handle) = self.sidecars.get(self.at) {
            let sidecar = self.shared.sidecars().get(handle).cloned();
            self.since = Instant::now();
            let Some(sidecar) = sidecar else {
                if self.failed(Failure::gone("it has stopped")) {
                    break;
                }
                continue;
            };
            let work = self.asking.work(&self.call);
            let (on, until) = (Some(self.on), self.since + self.limit);
            match sidecar.ask(Asked { what: What::Work { work }, owed: sidecar.owed_to(self), on, until }) {
                Ok(()) => return,
                // Nobody has it any more: whoever took it from the sidecar goes on with it.
                Err(refused) => return drop(refused),
            }
        }
        self.answer();
    }

    /// The sidecar whose turn it was is done, or has come to nothing.
    pub fn done(mut self: Box<Self>, said: Result<Done, Failure>) {
        let is_over = match said {
            Ok(done) => {
                self.note_time();
                self.asking.take(done, &mut self.told);
                self.told.refusal.is_some().then(|| self.told.stopped = Some(self.at)).is_some()
            }
            Err(failure) => self.failed(failure),
        };
        if is_over {
            return self.answer();
        }
        if self.told.times.len() > self.at {
            self.at += 1;
        }
        self.ask();
    }

    /// True when that ends it. Whoever is told, rather than asked, is told whatever came of the others.
    fn failed(&mut self, Failure { reason, gone }: Failure) -> bool {
        self.note_time();
        self.told.failed.push((self.at, reason, gone));
        let is_closed = self.open & (1 << self.at) == 0;
        if is_closed && self.told.stopped.is_none() {
            self.told.stopped = Some(self.at);
        }
        if is_closed && self.asking.is_decisive() {
            return true;
        }
        self.at += 1;
        false
    }

    fn note_time(&mut self) {
        self.told.times.push(self.since.elapsed().as_nanos() as u64);
    }

    fn answer(self: Box<Self>) {
        let Self { shared, request, on, asking, told, at_once, .. } = *self;
        if request == 0 && told.failed.is_empty() {
            return;
        }
        let answer = told.json(asking.changed());
        let mut given = at_once.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*given, Given::NotYet) && request != 0 {
            *given = Given::Answer(answer);
            return;
        }
        drop(given);
        shared.events.push(Event::Consulted { request, run: on, answer });
    }
}

/// The task of a sidecar that is quick, and how many questions may come to it.
struct Quick {
    task: Taken,
    program: Arc<Program>,
    calls: u32,
}

/// Of those who are asked, all that are quick and not busy.
fn take<'a>(shared: &Arc<Shared>, sidecars: impl Iterator<Item = &'a u64>) -> Vec<Quick> {
    let mut counts: Vec<(u64, u32)> = Vec::new();
    for handle in sidecars {
        match counts.iter_mut().find(|(known, _)| known == handle) {
            Some((_, count)) => *count += 1,
            None => counts.push((*handle, 1)),
        }
    }
    let all = shared.sidecars();
    let quick = counts.into_iter().filter_map(|(handle, calls)| {
        let sidecar = all.get(&handle).filter(|sidecar| sidecar.program.pace.is_quick())?;
        let task = sidecar.desk.upgrade()?.take()?;
        Some(Quick { task, program: sidecar.program.clone(), calls })
    });
    quick.collect()
}

impl AtOnce {
    /// The answer, if it has come; one that comes from here on is an event.
    fn take(&self) -> Option<String> {
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *given, Given::Late) {
            Given::Answer(answer) => Some(answer),
            Given::NotYet | Given::Late => None,
        }
    }
}

/// What the next one is asked: of some questions, what the one before has made of it.
enum Asking {
    Check(Arc<Head>),
    Request(Head, Vec<u8>, bool),
    Head(u16, Headers, bool),
    Lines(Vec<Line>),
    Ended(Ending, Option<u16>, u64),
    Pause,
    Resume,
}

impl Asking {
    fn of(question: Question) -> Self {
        match question {
            Question::Check(head) => Self::Check(Arc::new(head)),
            Question::Request(head, body) => Self::Request(head, body, false),
            Question::Head(status, headers) => Self::Head(status, headers, false),
            Question::Lines(lines) => Self::Lines(lines),
            Question::Ended { ending, status, nanoseconds } => Self::Ended(ending, status, nanoseconds),
            Question::Pause => Self::Pause,
            Question::Resume => Self::Resume,
        }
    }

    fn work(&self, call: &Arc<Call>) -> Work {
        let call = call.clone();
        match self {
            Self::Check(head) => Work::Check { call, head: head.clone() },
            Self::Request(head, body, _) => Work::Request { call, head: head.clone(), body: body.clone() },
            Self::Head(status, headers, _) => Work::Head { call, status: *status, headers: headers.clone() },
            Self::Lines(batch) => Work::Lines { call, batch: batch.clone() },
            Self::Ended(ending, status, nanoseconds) => Work::Ended { call, ending: *ending, status: *status, nanoseconds: *nanoseconds },
            Self::Pause => Work::Pause,
            Self::Resume => Work::Resume,
        }
    }

    fn is_decisive(&self) -> bool {
        matches!(self, Self::Check(_) | Self::Request(..) | Self::Head(..))
    }

    fn take(&mut self, done: Done, told: &mut Told) {
        match (done, self) {
            (Done::Checked(Ok(identity)), _) => {
                if let (None, Some(identity)) = (&told.identity, identity) {
                    told.identity = Some(json!({ "subject": identity.subject, "claims": identity.claims }));
                }
            }
            (Done::Checked(Err(refusal)) | Done::Requested(Err(refusal)), _) => told.refusal = Some(refused(refusal)),
            (Done::Requested(Ok((next, bytes))), Self::Request(head, body, changed)) => (*head, *body, *changed) = (next, bytes, true),
            (Done::Headed(next, fields), Self::Head(status, headers, changed)) => (*status, *headers, *changed) = (next, fields, true),
            _ => {}
        }
    }

    /// What a transform or a respond has made of it, if any has.
    fn changed(self) -> Option<Value> {
        match self {
            Self::Request(head, body, true) => Some(json!({
                "method": head.method,
                "scheme": head.scheme,
                "authority": head.authority,
                "pathWithQuery": head.path_with_query,
                "headers": flat(head.headers),
                "body": base64::encode(&body),
            })),
            Self::Head(status, headers, true) => Some(json!({ "status": status, "headers": flat(headers) })),
            _ => None,
        }
    }
}

impl Told {
    /// The usual answer is short: everybody has let it pass.
    fn json(self, head: Option<Value>) -> String {
        if self.failed.is_empty() && self.identity.is_none() && self.refusal.is_none() && head.is_none() {
            return format!("{{\"times\":{:?}}}", self.times);
        }
        let mut answer = json!({ "times": self.times });
        let members = answer.as_object_mut().expect("it is one");
        let mut put = |name: &str, value: Option<Value>| value.map(|value| members.insert(name.into(), value));
        put("failed", (!self.failed.is_empty()).then(|| json!(self.failed)));
        put("identity", self.identity);
        put("refusal", self.refusal);
        put("stopped", self.stopped.map(Value::from));
        put("head", head);
        answer.to_string()
    }
}

fn refused(Refusal { status, headers, reason }: Refusal) -> Value {
    json!({ "status": status, "headers": flat(headers), "reason": reason })
}

/// Names and values in turn; each byte of a value one character, as they are everywhere on the owner's side.
fn flat(headers: Headers) -> Vec<String> {
    headers.into_iter().flat_map(|(name, value)| [name, value.into_iter().map(char::from).collect()]).collect()
}
