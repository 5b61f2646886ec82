//! Opening the file, and the ways in which it may not be ours to open.
//!
//! The folder holds LMDB's `data.mdb` and `lock.mdb`, and `in-use`, which is locked for as long as the file is open:
//! LMDB would let several processes in, but revisions, quotas and growth are counted by one.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use heed::{Env, EnvFlags, EnvOpenOptions, WithTls};

use super::error::{KvError, is_no_room};
use super::record::FORMAT;
use super::tables::{Tables, Unusable};
use super::{Settings, Sync};

/// Threads that read at the same moment.
const READERS: u32 = 1024;
/// No revision is used twice, not even where a power cut has undone the last writes: each opening leaves a gap that is
/// larger than what can be written between two syncs.
const REVISION_GAP: u64 = 1 << 20;

pub(super) struct Opened {
    pub env: Env<WithTls>,
    pub tables: Tables,
    pub hold: Hold,
}

/// What must outlive the environment.
pub(super) struct Hold {
    _in_use: Option<File>,
    _folder: Option<tempfile::TempDir>,
}

pub(super) fn open(settings: &Settings) -> Result<Opened, KvError> {
    match &settings.path {
        Some(path) => open_folder(path, settings),
        None => open_temporary(settings),
    }
}

/// In memory means: a file that has no name any more, and that no power cut needs to leave readable.
fn open_temporary(settings: &Settings) -> Result<Opened, KvError> {
    let unable = |error: std::io::Error| {
        KvError::io(format!("key-value data without a folder lies in {}, which cannot be used: {error}", std::env::temp_dir().display()))
    };
    let folder = tempfile::Builder::new().prefix("pilotlight-kv-").tempdir().map_err(unable)?;
    let (env, tables) = open_env(folder.path(), settings, true).map_err(|why| why.explain(folder.path()))?;
    // Where a file may be removed while it is open, nothing is left behind by a process that is killed.
    let folder = if cfg!(unix) {
        drop(folder);
        None
    } else {
        Some(folder)
    };
    Ok(Opened { env, tables, hold: Hold { _in_use: None, _folder: folder } })
}

fn open_folder(path: &Path, settings: &Settings) -> Result<Opened, KvError> {
    make_folder(path).map_err(|error| KvError::io(format!("the folder {} for key-value data cannot be made: {error}", path.display())))?;
    let in_use = take(path)?;
    let (env, tables) = open_env(path, settings, false).map_err(|why| why.explain(path))?;
    leave_gap(&env, &tables)?;
    Ok(Opened { env, tables, hold: Hold { _in_use: Some(in_use), _folder: None } })
}

fn make_folder(path: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Locks the folder for this process; the system unlocks it when the process ends, however it does.
fn take(path: &Path) -> Result<File, KvError> {
    let name = path.join("in-use");
    let unable = |error: std::io::Error| KvError::io(format!("{} cannot be locked: {error}", name.display()));
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&name).map_err(unable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            let holder = holder.trim();
            let process = if holder.is_empty() { "another process".to_owned() } else { format!("process {holder}") };
            let path = path.display();
            return Err(KvError::io(format!(
                "the key-value data in {path} is in use by {process}; stop it, or give this node a data folder of its own"
            )));
        }
        Err(TryLockError::Error(error)) => return Err(unable(error)),
    }
    let _ = file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0))).and_then(|_| writeln!(file, "{}", std::process::id()));
    Ok(file)
}

fn open_env(path: &Path, settings: &Settings, temporary: bool) -> Result<(Env<WithTls>, Tables), Unusable> {
    let data = path.join("data.mdb");
    let length = fs::metadata(&data).map_or(0, |data| data.len());
    let mut options = EnvOpenOptions::new();
    options.map_size(settings.map_for(length)).max_readers(READERS).max_dbs(Tables::COUNT);
    // Sound: the one other user of the file would be another process, and that is locked out. With NO_META_SYNC a commit's
    // pages are on the disk before the page that makes them current is written, so that a power cut may undo the last
    // commits but never leaves half of one; the writer's second thread has that page follow soon.
    let env = unsafe {
        let mut flags = EnvFlags::NO_READ_AHEAD;
        if temporary {
            flags |= EnvFlags::NO_SYNC;
        } else if settings.sync == Sync::Group {
            flags |= EnvFlags::NO_META_SYNC;
        }
        options.flags(flags);
        options.open(path)
    }?;
    // Looked at before any page is: reading behind the end of a mapped file ends the process.
    let pages = env.info().last_page_number as u64 + 1;
    if length > 0 && length < pages * u64::from(env.stat().page_size) {
        return Err(Unusable::Error(KvError::io(format!(
            "it was cut short: {length} bytes of {}",
            pages * u64::from(env.stat().page_size)
        ))));
    }
    let tables = Tables::open(&env)?;
    Ok((env, tables))
}

fn leave_gap(env: &Env<WithTls>, tables: &Tables) -> Result<(), KvError> {
    let mut txn = env.write_txn()?;
    let revision = tables.revision(&txn)?;
    if revision > 0 {
        tables.set_revision(&mut txn, revision + REVISION_GAP)?;
    }
    txn.commit()?;
    env.force_sync()?;
    Ok(())
}

impl Unusable {
    fn explain(self, path: &Path) -> KvError {
        let file: PathBuf = path.join("data.mdb");
        let file = file.display();
        match self {
            Unusable::Foreign => {
                KvError::io(format!("{file} was not written by Pilotlight; move it away, or give this node a data folder of its own"))
            }
            Unusable::Format(format) => KvError::io(format!(
                "{file} has the format {format}, and this version of Pilotlight reads {FORMAT}; use the version that wrote it, or restore a backup"
            )),
            Unusable::Error(error) => KvError::new(
                error.code,
                format!(
                    "{file} cannot be used: {error}. If it is damaged, move the folder away and restore it from a backup; to start without its data, only move it away"
                ),
            ),
        }
    }
}

impl From<heed::Error> for Unusable {
    fn from(error: heed::Error) -> Self {
        Unusable::Error(match error {
            heed::Error::EnvAlreadyOpened => KvError::io("it is open in this process already"),
            heed::Error::Mdb(heed::MdbError::Invalid | heed::MdbError::VersionMismatch) => return Unusable::Foreign,
            heed::Error::Io(error) if is_no_room(&error) => KvError::disk_full(),
            error => KvError::io(error.to_string()),
        })
    }
}
