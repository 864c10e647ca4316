//! The snapshot's file and the temporary one beside it.
//!
//! Invariants
//! - A snapshot is either the whole old one or the whole new one: it is written beside its place, synced, and renamed.
//! - Who has the temporary file's lock is the only one who writes it, unlinks it or renames it. A lock ends with its
//!   process, so that a file which a killed one has left is told from one that is being written.
//! - Nothing is done as root in a folder of nginx's user: who owns the folder could have put a link in the way.
//! - What is read is a plain file that nobody but its owner can have written, and that owner is root or nginx's user.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Why there is no temporary file.
pub enum Denied {
    /// Another process is writing the snapshot.
    Busy,
    /// It can't be made.
    Failed(String),
}

impl From<String> for Denied {
    fn from(why: String) -> Self {
        Denied::Failed(why)
    }
}

/// Where a snapshot is written before it takes its place.
pub fn temp_of(target: &Path) -> PathBuf {
    let mut name = OsString::from(target);
    name.push(".tmp");
    name.into()
}

/// The folder that a snapshot lies in.
pub fn folder_of(target: &Path) -> &Path {
    target.parent().unwrap_or(Path::new("/"))
}

/// A step that failed, for the log.
pub fn failure(path: &Path, error: &io::Error) -> String {
    format!("\"{}\": {error}", path.display())
}

/// The temporary file's name, for as long as its lock is held; unlinked when dropped.
pub struct Temp {
    path: PathBuf,
    target: PathBuf,
    is_there: bool,
}

impl Temp {
    /// Makes the file, in place of one that a killed process has left.
    pub fn create(target: &Path) -> Result<(Temp, File), Denied> {
        let path = temp_of(target);
        let failed = |error: io::Error| Denied::Failed(failure(&path, &error));
        // Held until the new file has its own lock: see `stale`.
        let mut _former = None;
        for _ in 0..4 {
            let made = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .custom_flags(libc::O_NOFOLLOW)
                .open(&path);
            match made {
                Ok(file) => {
                    if !lock(&file).map_err(failed)? || !is_at(&file, &path) {
                        return Err(Denied::Busy);
                    }
                    return Ok((Temp { path, target: target.to_owned(), is_there: true }, file));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => _former = Some(stale(&path)?),
                Err(error) => return Err(failed(error)),
            }
        }
        Err(Denied::Busy)
    }

    /// Puts the written file in the place of the old one.
    pub fn commit(mut self, file: &File) -> Result<(), String> {
        file.sync_all().map_err(|error| failure(&self.path, &error))?;
        fs::rename(&self.path, &self.target).map_err(|error| failure(&self.target, &error))?;
        self.is_there = false;
        let folder = folder_of(&self.target);
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| failure(folder, &error))
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        if self.is_there {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Unlinks what stands in the temporary file's place, unless another process is writing it. The file comes back locked:
/// whoever opened it at the same time gets its lock only when its successor is there, and then sees that it is
/// another one.
fn stale(path: &Path) -> Result<Option<File>, Denied> {
    let failed = |error: io::Error| Denied::Failed(failure(path, &error));
    let former = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path);
    match former {
        Ok(file) => {
            if !lock(&file).map_err(failed)? {
                return Err(Denied::Busy);
            }
            if is_at(&file, path) {
                fs::remove_file(path).map_err(failed)?;
            }
            Ok(Some(file))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        // A link, or somebody else's: not ours to be read, but in our place.
        Err(_) => fs::remove_file(path).map(|()| None).map_err(failed),
    }
}

/// Takes a file's lock, which ends when it is closed; false if another process has it.
fn lock(file: &File) -> io::Result<bool> {
    // SAFETY: an open file; no memory is involved.
    if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    if error.kind() == io::ErrorKind::WouldBlock { Ok(false) } else { Err(error) }
}

/// Whether a path still names this file.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

/// Opens a snapshot; `None` if there is none.
pub fn open(path: &Path) -> Result<Option<File>, String> {
    // A pipe would have us wait for its writer.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path);
    let file = match file {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
            return Err(format!("\"{}\" is a symbolic link", path.display()));
        }
        Err(error) => return Err(failure(path, &error)),
    };
    let meta = file.metadata().map_err(|error| failure(path, &error))?;
    let why = if !meta.is_file() {
        "is no plain file"
    // SAFETY: can't fail.
    } else if meta.uid() != 0 && meta.uid() != unsafe { libc::geteuid() } {
        "belongs to another user"
    } else if meta.permissions().mode() & 0o022 != 0 {
        "can be written by others than its owner"
    } else {
        return Ok(Some(file));
    };
    Err(format!("\"{}\" {why}", path.display()))
}

/// Whom nginx's workers run as.
#[derive(Clone, Copy)]
pub struct User {
    pub uid: libc::uid_t,
    pub gid: libc::gid_t,
}

/// Does something with the rights of nginx's user, where this process is root. What a worker's helper can't do can't be
/// done by the master, either.
pub fn with_rights_of<T>(user: User, work: impl FnOnce() -> T) -> Result<T, String> {
    // SAFETY: can't fail.
    if unsafe { libc::geteuid() } != 0 || user.uid == 0 {
        return Ok(work());
    }
    let _back = Rights::of(user).map_err(|error| format!("the user can't be changed: {error}"))?;
    Ok(work())
}

/// Root's rights while they are given up; they come back when this is dropped.
struct Rights {
    groups: Vec<libc::gid_t>,
    gid: libc::gid_t,
}

impl Rights {
    fn of(user: User) -> io::Result<Rights> {
        // SAFETY: asks for the number of groups only.
        let count = unsafe { libc::getgroups(0, std::ptr::null_mut()) };
        let mut groups = vec![0; usize::try_from(count).map_err(|_| io::Error::last_os_error())?];
        // SAFETY: room for as many groups as there are; can't fail otherwise.
        let (count, gid) = unsafe { (libc::getgroups(count, groups.as_mut_ptr()), libc::getegid()) };
        groups.truncate(usize::try_from(count).map_err(|_| io::Error::last_os_error())?);
        let rights = Rights { groups, gid };
        // From here on a failure gives back what was given up.
        // SAFETY: one group is read; no other memory is involved.
        let gave_up = unsafe {
            libc::setgroups(1, &raw const user.gid) == 0
                && libc::setegid(user.gid) == 0
                && libc::seteuid(user.uid) == 0
        };
        if gave_up { Ok(rights) } else { Err(io::Error::last_os_error()) }
    }
}

impl Drop for Rights {
    fn drop(&mut self) {
        // SAFETY: the groups that this process had are read; no other memory is involved. Its real user is root still,
        // so that it may.
        unsafe {
            libc::seteuid(0);
            libc::setegid(self.gid);
            libc::setgroups(self.groups.len() as _, self.groups.as_ptr());
        }
    }
}

/// Has a file that may grow no further (`ulimit -f`) be an error instead of the end of the process.
pub fn survive_limits() {
    // SAFETY: no handler is set, so that nothing can be interrupted by it.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}
