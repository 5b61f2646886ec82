//! What can go wrong with a store, as a code that callers decide by and a sentence that people read.

use std::io;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The key is not in the state that the write expects.
    Conflict,
    /// The tenant's stored bytes would pass their quota.
    Quota,
    /// The disk, or the largest size of the file, is used up.
    Full,
    /// The request itself: a name, key or value that no store can hold.
    Invalid,
    /// The file or the disk under it.
    Io,
}

impl Code {
    pub fn name(self) -> &'static str {
        match self {
            Code::Conflict => "conflict",
            Code::Quota => "quota",
            Code::Full => "full",
            Code::Invalid => "invalid",
            Code::Io => "io",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct KvError {
    pub code: Code,
    pub message: String,
}

impl KvError {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::new(Code::Conflict, message)
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::Invalid, message)
    }

    pub(super) fn io(message: impl Into<String>) -> Self {
        Self::new(Code::Io, message)
    }

    pub(super) fn disk_full() -> Self {
        Self::new(Code::Full, "the disk that holds the key-value file is full; nothing was written. Free some space and try again")
    }

    pub(super) fn closed() -> Self {
        Self::io("the key-value storage is closed")
    }
}

/// An error of LMDB's, in our words.
impl From<heed::Error> for KvError {
    fn from(error: heed::Error) -> Self {
        match error {
            heed::Error::Io(error) if is_no_room(&error) => Self::disk_full(),
            heed::Error::Mdb(heed::MdbError::Panic) => {
                Self::io("the disk has refused the key-value file; nothing more is taken until the node is started again")
            }
            heed::Error::Mdb(heed::MdbError::PageNotFound | heed::MdbError::Corrupted | heed::MdbError::Invalid) => {
                Self::io(format!("the key-value file is damaged ({error}); restore it from a backup"))
            }
            error => Self::io(format!("the key-value file could not be read or written: {error}")),
        }
    }
}

/// There is no room on the disk.
pub(super) fn is_no_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

/// Why an operation did not go into a transaction.
pub(super) enum Failure {
    /// It was refused before it changed anything; the transaction goes on without it.
    Refused(KvError),
    /// The map is too small; the transaction is lost and can be done again in a larger one.
    MapFull,
    /// The transaction is lost.
    Lost(KvError),
}

impl From<KvError> for Failure {
    fn from(error: KvError) -> Self {
        match error.code {
            Code::Conflict | Code::Quota | Code::Invalid => Failure::Refused(error),
            Code::Full | Code::Io => Failure::Lost(error),
        }
    }
}

impl From<heed::Error> for Failure {
    fn from(error: heed::Error) -> Self {
        match error {
            heed::Error::Mdb(heed::MdbError::MapFull) => Failure::MapFull,
            error => Failure::Lost(error.into()),
        }
    }
}
