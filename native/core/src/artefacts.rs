//! Compiled components on disk, named by what they were compiled from and for.
//!
//! A compiled form is native code that will be run as it is, so nothing is mapped that this machine's own
//! Pilotlight did not write whole: a file counts only with its seal, which holds its length and hash, and its
//! name holds the component's digest and the engine's compatibility hash. Files are written to a temporary
//! name, synced and renamed. A file that does not hold what its seal says is removed and compiled again.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

#[derive(Debug, thiserror::Error)]
pub enum ArtefactError {
    #[error("{0}")]
    NotAComponent(String),
    #[error("the component cannot be compiled: {0}")]
    Compile(String),
    #[error("the cache folder {path} cannot be written: {source}; give a folder that can be with --data")]
    Unwritable { path: PathBuf, source: io::Error },
}

/// A component ready to link, and how it came to be.
pub struct Loaded {
    pub component: Component,
    pub digest: String,
    pub cached: bool,
    pub compiled_bytes: u64,
}

#[derive(Serialize, Deserialize, PartialEq, Eq)]
struct Seal {
    bytes: u64,
    hash: String,
}

pub struct Artefacts {
    /// Nothing is kept when there is no folder.
    folder: Option<PathBuf>,
    compatibility: u64,
}

impl Artefacts {
    pub fn new(engine: &Engine, folder: Option<PathBuf>) -> Result<Self, ArtefactError> {
        if let Some(path) = &folder {
            let probe = || -> io::Result<()> {
                fs::create_dir_all(path)?;
                tempfile::NamedTempFile::new_in(path)?.write_all(b"probe")
            };
            probe().map_err(|source| ArtefactError::Unwritable { path: path.clone(), source })?;
        }
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self { folder, compatibility: hasher.finish() })
    }

    /// Maps the compiled form of `bytes`, compiling first where there is none that fits this engine.
    pub fn load(&self, engine: &Engine, bytes: &[u8]) -> Result<Loaded, ArtefactError> {
        if let Some(reason) = crate::component_check::explain_not_a_component(bytes) {
            return Err(ArtefactError::NotAComponent(reason));
        }
        let digest = hex(&Sha256::digest(bytes));
        let path = self.folder.as_ref().map(|folder| folder.join(format!("{digest}-{:016x}.cwasm", self.compatibility)));
        if let Some(path) = &path
            && let Some((component, compiled_bytes)) = open(engine, path)
        {
            return Ok(Loaded { component, digest, cached: true, compiled_bytes });
        }
        let compiled = engine.precompile_component(bytes).map_err(|error| ArtefactError::Compile(format!("{error:#}")))?;
        let compiled_bytes = compiled.len() as u64;
        // Mapped from the file where there is one, so that processes share its pages and restarts find them.
        let mapped = path.and_then(|path| {
            store(&path, &compiled).ok()?;
            open(engine, &path)
        });
        let component = match mapped {
            Some((component, _)) => component,
            // Sound: the bytes came out of this engine's compiler a few lines up.
            None => unsafe { Component::deserialize(engine, &compiled) }.map_err(|error| ArtefactError::Compile(format!("{error:#}")))?,
        };
        Ok(Loaded { component, digest, cached: false, compiled_bytes })
    }
}

fn seal_path(path: &Path) -> PathBuf {
    path.with_extension("seal")
}

/// The component in a sealed file; `None` (and the file removed) when there is none or it is not what was sealed.
fn open(engine: &Engine, path: &Path) -> Option<(Component, u64)> {
    let seal: Seal = serde_json::from_slice(&fs::read(seal_path(path)).ok()?).ok()?;
    let found = seal_of(path).ok()?;
    // Sound: the file is, byte for byte, what this program compiled and sealed, in a folder of its own.
    let component = (found == seal).then(|| unsafe { Component::deserialize_file(engine, path) }).and_then(Result::ok);
    if component.is_none() {
        let _ = fs::remove_file(seal_path(path));
        let _ = fs::remove_file(path);
    }
    component.map(|component| (component, seal.bytes))
}

fn seal_of(path: &Path) -> io::Result<Seal> {
    let mut file = File::open(path)?;
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    let mut buffer = vec![0; 256 * 1024];
    let mut bytes = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Seal { bytes, hash: format!("{:032x}", hasher.digest128()) }),
            n => {
                hasher.update(&buffer[..n]);
                bytes += n as u64;
            }
        }
    }
}

fn store(path: &Path, compiled: &[u8]) -> io::Result<()> {
    let hash = format!("{:032x}", xxhash_rust::xxh3::xxh3_128(compiled));
    let seal = serde_json::to_vec(&Seal { bytes: compiled.len() as u64, hash })?;
    write_whole(path, compiled)?;
    write_whole(&seal_path(path), &seal)
}

/// Readers see all of `bytes` under `path`, or what was there before.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    // The rename itself is durable once the folder is; not every platform lets a folder be opened.
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
