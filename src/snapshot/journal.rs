//! Purges written beside a snapshot: FILE`.purges.N`.
//!
//! ```text
//!  worker:  stamp, N (one section) -> append to FILE.purges.N -> answer
//!  save:    N + 1, latest stamp (one section) -> pages that no stamp up to it has killed -> in place -> FILE.purges.N and before go
//!  load:    all FILE.purges.*, then the pages
//! ```
//!
//! Invariants
//! - A purge that is not in the files from N + 1 on was stamped before N was raised: the snapshot that is then written lacks
//!   what it killed. So the files up to N may go once that snapshot is in its place, however late a worker writes.
//! - What can't be written down makes the snapshot untrue: it is unlinked, and one that is being written is not put in place.
//! - Nothing is synced: a killed nginx loses nothing that it wrote. A machine without power may lose the last seconds, of
//!   snapshots and of purges.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use twice_core::board::Purge;
use twice_core::journal::{Noted, Records};

use super::file::{self, failure, folder_of};
use crate::shm::Zone;

/// Where a file of purges ends: beyond, the snapshot goes instead.
const MOST: u64 = 16 << 20;

fn name_of(target: &Path, number: u64) -> PathBuf {
    let mut name = OsString::from(target);
    name.push(format!(".purges.{number}"));
    name.into()
}

/// The files beside a snapshot, and their numbers.
fn files(target: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut prefix = target.file_name().unwrap_or_default().as_bytes().to_vec();
    prefix.extend_from_slice(b".purges.");
    let mut found = Vec::new();
    let entries = match fs::read_dir(folder_of(target)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.as_bytes().strip_prefix(&prefix[..]).and_then(|n| std::str::from_utf8(n).ok());
        if let Some(number) = number.and_then(|n| n.parse().ok()) {
            found.push((number, entry.path()));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Writes purges down. An error: neither could it be written nor the snapshot be unlinked, so that a restart may bring
/// back what was purged.
pub fn note(zone: &Zone, target: &Path, number: u64, noted: &[Noted<'_>]) -> Result<(), String> {
    let path = name_of(target, number);
    // A worker must not die of a full disk.
    file::survive_limits();
    let append = || {
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(&path)?;
        if file.metadata()?.len() > MOST {
            return Err(io::Error::other("there are too many purges between two snapshots"));
        }
        let records: Vec<u8> = noted.iter().flat_map(Noted::encode).collect();
        // One write: what others append at the same time comes before or after.
        if file.write(&records)? == records.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    };
    let Err(why) = append() else { return Ok(()) };
    if let Some(board) = zone.board() {
        zone.with(|section| board.lose_journal(section, number));
    }
    match fs::remove_file(target) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(format!("{} ({})", failure(&path, &why), failure(target, &error))),
    }
}

/// Stamps on the board what was purged since the snapshot. In doubt, everything was.
pub fn replay(zone: &Zone, target: &Path) -> Result<(), String> {
    let Some(board) = zone.board() else { return Ok(()) };
    let all = |stamp: u64| {
        let _ = zone.with(|section| board.replay(section, &Noted { what: Purge::All, soft: false, stamp }));
    };
    for (_, path) in files(target).map_err(|error| failure(target, &error))? {
        let mut bytes = Vec::new();
        let read = match file::open(&path)? {
            Some(file) => file.take(2 * MOST).read_to_end(&mut bytes),
            None => continue,
        };
        read.map_err(|error| failure(&path, &error))?;
        let mut records = Records::new(&bytes);
        for noted in records.by_ref() {
            if zone.with(|section| board.replay(section, &noted)) == Some(false) {
                // More prefixes than can be noted.
                all(noted.stamp);
            }
        }
        if !records.is_at_end() {
            return Err(format!("\"{}\" is damaged", path.display()));
        }
    }
    Ok(())
}

/// Removes the files up to this number: the snapshot knows what they say.
pub fn forget(target: &Path, number: u64) {
    for (found, path) in files(target).unwrap_or_default() {
        if found <= number {
            // Left behind it costs the next start a little time, and the one after that tries again.
            let _ = fs::remove_file(path);
        }
    }
}
