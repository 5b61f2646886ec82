//! The one thread that writes.
//!
//! It takes all that is waiting into one transaction, commits, and only then answers: what was answered is with the
//! system, and so survives the end of this process. A transaction that fails as a whole is done again operation by
//! operation, so that each is answered for itself.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use heed::{Env, WithTls};

use super::apply::{Done, Op, Writing};
use super::error::{Code, Failure, KvError, is_no_room};
use super::tables::Tables;
use super::{Settings, Sync};

/// Most operations, and about the most bytes, of one transaction.
const GROUP: usize = 512;
const GROUP_BYTES: usize = 16 << 20;
/// From a commit until its sync begins.
const SYNC_AFTER: Duration = Duration::from_millis(3);

/// Hears what came of an operation, on the writer's thread.
pub type Reply = Box<dyn FnOnce(Result<Done, KvError>) + Send>;

pub(super) struct Job {
    pub op: Op,
    pub reply: Reply,
}

/// The thread, and the way to it. Dropping it waits until everything is written and synced.
pub(super) struct Writer {
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

/// What the writer needs of the rest.
pub(super) struct Ground {
    pub env: Env<WithTls>,
    pub tables: Tables,
    pub settings: Settings,
    /// Held while reading; the writer takes it for itself when it moves the map.
    pub map: Arc<RwLock<()>>,
    /// Counts removals of tenants: whoever has remembered the number of a store looks again.
    pub removals: Arc<AtomicU64>,
}

impl Writer {
    pub fn start(ground: Ground) -> Result<Self, KvError> {
        let (jobs, waiting) = mpsc::channel();
        let mut threads = Vec::new();
        let disk = Arc::new(AtomicBool::new(true));
        let mut dirty = None;
        if ground.settings.path.is_some() && ground.settings.sync == Sync::Group {
            let (sender, receiver) = mpsc::sync_channel(1);
            let (env, disk) = (ground.env.clone(), disk.clone());
            threads.push(spawn("pilotlight-kv-sync", move || sync(&env, &receiver, &disk))?);
            dirty = Some(sender);
        }
        threads.push(spawn("pilotlight-kv", move || Thread { ground, dirty, disk }.run(&waiting))?);
        Ok(Self { jobs: Some(jobs), threads })
    }

    pub fn submit(&self, job: Job) {
        let Some(jobs) = &self.jobs else { return (job.reply)(Err(KvError::closed())) };
        if let Err(mpsc::SendError(job)) = jobs.send(job) {
            (job.reply)(Err(KvError::closed()));
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        // The syncing thread ends when the writing one has let go of it.
        for thread in self.threads.drain(..).rev() {
            // A reply may hold the last of what holds this; its own thread cannot wait for itself.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, KvError> {
    let unable = |error: std::io::Error| KvError::io(format!("a thread for key-value data could not be started: {error}"));
    std::thread::Builder::new().name(name.into()).spawn(work).map_err(unable)
}

/// Syncs soon after each commit, however many follow it meanwhile, and once more at the end.
fn sync(env: &Env<WithTls>, dirty: &Receiver<()>, disk: &AtomicBool) {
    while dirty.recv().is_ok() {
        std::thread::sleep(SYNC_AFTER);
        let _ = dirty.try_recv();
        if env.force_sync().is_err() {
            disk.store(false, Ordering::Relaxed);
        }
    }
    let _ = env.force_sync();
}

struct Thread {
    ground: Ground,
    /// Tells the syncing thread, where there is one.
    dirty: Option<SyncSender<()>>,
    /// False once the disk has refused to sync: nothing that is written from then on is safe.
    disk: Arc<AtomicBool>,
}

impl Thread {
    fn run(self, waiting: &Receiver<Job>) {
        while let Ok(first) = waiting.recv() {
            let mut bytes = first.op.bytes();
            let mut group = vec![first];
            while group.len() < GROUP
                && bytes < GROUP_BYTES
                && let Ok(job) = waiting.try_recv()
            {
                bytes += job.op.bytes();
                group.push(job);
            }
            self.write(group);
        }
    }

    fn write(&self, group: Vec<Job>) {
        if !self.disk.load(Ordering::Relaxed) {
            let refused =
                KvError::io("the disk has refused to keep what was written; nothing more is taken until the node is started again");
            return group.into_iter().for_each(|job| (job.reply)(Err(refused.clone())));
        }
        match self.commit(&group) {
            Ok(results) => {
                if let Some(dirty) = &self.dirty {
                    let _ = dirty.try_send(());
                }
                for (job, result) in group.into_iter().zip(results) {
                    if matches!((&job.op, &result), (Op::RemoveTenant { .. }, Ok(_))) {
                        self.ground.removals.fetch_add(1, Ordering::Release);
                    }
                    (job.reply)(result);
                }
            }
            Err(error) if group.len() == 1 => group.into_iter().for_each(|job| (job.reply)(Err(error.clone()))),
            Err(_) => group.into_iter().for_each(|job| self.write(vec![job])),
        }
    }

    /// One transaction; done again in a larger map where the map was too small.
    fn commit(&self, group: &[Job]) -> Result<Vec<Result<Done, KvError>>, KvError> {
        loop {
            match self.attempt(group) {
                Ok(results) => return Ok(results),
                Err(Failure::MapFull) => self.grow()?,
                Err(Failure::Lost(error)) if error.code == Code::Io && self.has_no_room(group) => return Err(KvError::disk_full()),
                Err(Failure::Lost(error) | Failure::Refused(error)) => return Err(error),
            }
        }
    }

    fn attempt(&self, group: &[Job]) -> Result<Vec<Result<Done, KvError>>, Failure> {
        let mut writing = Writing::begin(&self.ground.env, self.ground.tables)?;
        let mut results = Vec::with_capacity(group.len());
        for job in group {
            results.push(match writing.apply(&job.op) {
                Ok(done) => Ok(done),
                Err(Failure::Refused(error)) => Err(error),
                Err(lost) => return Err(lost),
            });
        }
        writing.commit()?;
        Ok(results)
    }

    /// Whether the disk is full, which LMDB does not tell from any other write that ends early: tries to write as much.
    fn has_no_room(&self, group: &[Job]) -> bool {
        let folder = self.ground.settings.path.clone().unwrap_or_else(std::env::temp_dir);
        let bytes = group.iter().map(|job| job.op.bytes()).sum::<usize>() + (1 << 20);
        let probe = tempfile::tempfile_in(folder).and_then(|mut file| file.write_all(&vec![0; bytes]));
        probe.is_err_and(|error| is_no_room(&error))
    }

    fn grow(&self) -> Result<(), KvError> {
        let size = self.ground.env.info().map_size;
        let largest = self.ground.settings.map_max;
        if size >= largest {
            return Err(KvError::new(
                Code::Full,
                format!("the key-value file has reached its largest size, {largest} bytes; nothing was written"),
            ));
        }
        // Nobody reads meanwhile: the map may move.
        let _alone = self.ground.map.write().unwrap_or_else(PoisonError::into_inner);
        // Sound: the writing transaction is over, this is the only thread that begins one, and readers are kept out.
        unsafe { self.ground.env.resize(size.saturating_mul(2).min(largest)) }?;
        Ok(())
    }
}
